import { expect, test } from 'vitest';
import backlogRule from '../../../rules/cpu/softnet-backlog.ts';
import rule from '../../../rules/cpu/rps-flow-limit.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import type { CauseFinding, JudgeWindow } from '../../../src/model/rule.ts';
import {
  capture,
  causesOf,
  foreign,
  rxDroppedRise,
  settings,
  softnetRise,
  window,
  type CpuRise,
} from './evidence.ts';

interface Case {
  readonly cpus: readonly CpuRise[];
  readonly sysctl?: Readonly<Record<string, string | number>> | null;
  readonly rxDropped?: bigint;
  readonly drops?: DropCapture;
  readonly when?: JudgeWindow;
}

function judge(
  { cpus, sysctl = {}, rxDropped, drops, when = window }: Case,
  by: typeof rule | typeof backlogRule = rule,
): CauseFinding | undefined {
  const evidence = {
    softnet: softnetRise(cpus),
    sysctl: sysctl === null ? undefined : settings(sysctl),
    link: rxDropped === undefined ? undefined : rxDroppedRise({ vb: rxDropped }),
    drops,
  };
  return causesOf(by.judge(evidence, when))[0];
}

const held = [{ processed: 1000 }, { processed: 900, dropped: 100, flowLimit: 100 }];

test('one flow was held back: as it was set up to be, so never critical', () => {
  const sysctl = {
    'net.core.flow_limit_cpu_bitmap': '00000002',
    'net.core.netdev_max_backlog': 1000,
  };
  const finding = judge({ cpus: held, sysctl });
  expect(finding).toMatchObject({
    confidence: 'certain',
    packets: 100,
    traffic: { packets: 2000 },
    scope: { cpu: 1 },
    fixes: [{ id: 'raise-backlog' }],
    claims: [
      { reason: 'CPU_BACKLOG', packets: 100 },
      { reason: null, location: 'enqueue_to_backlog', packets: 100 },
    ],
  });
  expect(finding?.because[1]).toMatchObject({ last: '00000002' });
  expect(finding && severityOf(finding)).toBe('warning');
});

test('one packet is enough; a queue that is simply full is another cause', () => {
  expect(judge({ cpus: [{ dropped: 1, flowLimit: 1 }] })?.packets).toBe(1);
  expect(judge({ cpus: [{ dropped: 100 }] })).toBeUndefined();
});

test('settings could not be read: no number is invented', () => {
  const finding = judge({ cpus: held, sysctl: null });
  expect(finding?.fixes).toEqual([]);
  expect(finding?.because).toHaveLength(1);
});

test('another namespace: both causes together claim no more than its interfaces counted', () => {
  const cpus = [{ dropped: 150, flowLimit: 100 }];
  const both = (rxDropped: bigint) =>
    [backlogRule, rule].map((by) => judge({ cpus, rxDropped, when: foreign }, by)?.packets ?? 0);
  expect(both(500n)).toEqual([50, 100]);
  expect(both(70n)).toEqual([50, 20]);
  expect(both(40n)).toEqual([40, 0]);
  expect(both(0n)).toEqual([0, 0]);
});

test('another namespace: a capture that tells namespaces knows better than interfaces, which drop for other reasons', () => {
  const cpus = [{ dropped: 150, flowLimit: 100 }];
  const told: JudgeWindow = { ...foreign, severalNetns: false };
  const both = (seen: number, when = told) =>
    [backlogRule, rule].map((by) => {
      const drops = capture([
        { reason: 'CPU_BACKLOG', location: 'enqueue_to_backlog', packets: seen },
      ]);
      return judge({ cpus, rxDropped: 500n, drops, when }, by)?.packets ?? 0;
    });
  expect(both(0)).toEqual([0, 0]);
  expect(both(70)).toEqual([50, 20]);
  // Of tracefs the drops may be those of any namespace.
  expect(both(70, foreign)).toEqual([50, 100]);
});
