import { expect, test } from 'vitest';
import rule from '../../../rules/cpu/softnet-backlog.ts';
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
  readonly sinceBoot?: number;
  readonly backlog?: number | null;
  readonly rxDropped?: Readonly<Record<string, bigint>> | null;
  readonly drops?: DropCapture;
  readonly when?: JudgeWindow;
}

function judge({
  cpus,
  sinceBoot,
  backlog = 1000,
  rxDropped = null,
  drops,
  when = window,
}: Case): CauseFinding | undefined {
  const findings = causesOf(
    rule.judge(
      {
        softnet: softnetRise(cpus, sinceBoot),
        sysctl: backlog === null ? undefined : settings({ 'net.core.netdev_max_backlog': backlog }),
        link: rxDropped === null ? undefined : rxDroppedRise(rxDropped),
        drops,
      },
      when,
    ),
  );
  expect(findings.length).toBeLessThanOrEqual(1);
  return findings[0];
}

const cpuBacklog = (packets: number) =>
  capture([{ reason: 'CPU_BACKLOG', location: 'enqueue_to_backlog', packets }]);

test('a full queue: column 2 and the reason agree', () => {
  const finding = judge({
    cpus: [{ processed: 900 }, { processed: 9000, dropped: 100 }],
    drops: cpuBacklog(100),
  });
  expect(finding).toMatchObject({
    confidence: 'certain',
    packets: 100,
    traffic: { packets: 10_000 },
    scope: { cpu: 1 },
    claims: [
      { reason: 'CPU_BACKLOG', packets: 100 },
      { reason: null, location: 'enqueue_to_backlog', packets: 100 },
    ],
  });
  expect(finding?.because.map(({ source }) => source)).toEqual([
    '/proc/net/softnet_stat column 2 (dropped)',
    'skb:kfree_skb',
    'net.core.netdev_max_backlog',
  ]);
});

test('one packet is enough, none is silence', () => {
  expect(judge({ cpus: [{ dropped: 1 }] })?.packets).toBe(1);
  expect(judge({ cpus: [{ processed: 1e6 }] })).toBeUndefined();
});

test('column 2 wraps at 2^32', () => {
  expect(judge({ cpus: [{ dropped: 30 }], sinceBoot: 2 ** 32 - 10 })?.packets).toBe(30);
});

test('a CPU that came online in the window brings a total, not a rise', () => {
  const { first, last } = softnetRise([{}, { dropped: 70 }]);
  const alone = { cpus: first.cpus.slice(0, 1) };
  const softnet = { first: alone, last, samples: [alone, last] };
  const nothing = { sysctl: undefined, link: undefined, drops: undefined };
  expect(rule.judge({ softnet, ...nothing }, window)).toEqual([]);
});

test('a CPU is named when nine of ten drops are its own', () => {
  expect(judge({ cpus: [{ dropped: 90 }, { dropped: 10 }] })?.scope).toEqual({ cpu: 0 });
  expect(judge({ cpus: [{ dropped: 89 }, { dropped: 11 }] })?.scope).toEqual({});
});

test('look-alike: frames without a handler and full rings raise rx_dropped, not column 2', () => {
  const drops = capture([{ reason: 'UNHANDLED_PROTO', protocol: 0x88cc, packets: 500 }]);
  expect(judge({ cpus: [{ processed: 100 }], rxDropped: { eth0: 500n }, drops })).toBeUndefined();
});

test('look-alike: what the flow limit refused is not counted here', () => {
  const held = { dropped: 100, flowLimit: 100 };
  expect(judge({ cpus: [held], drops: cpuBacklog(100) })).toBeUndefined();
  expect(judge({ cpus: [{ dropped: 130, flowLimit: 100 }] })?.packets).toBe(30);
  // It counts on the CPU that passes packets on, the queue on the one they were meant for.
  expect(judge({ cpus: [{ flowLimit: 100 }, { dropped: 100 }] })).toBeUndefined();
  const both = judge({ cpus: [{ flowLimit: 100 }, { dropped: 130 }] });
  expect(both).toMatchObject({ packets: 30, scope: { cpu: 1 } });
  expect(both?.because[0]?.text).toBe(
    '130 packets refused, 130 of them by the queue of CPU 1; 100 of all were held back by the flow limit',
  );
});

test('column 2 without the reason in a good capture: likely', () => {
  expect(judge({ cpus: [{ dropped: 9 }], drops: capture([]) })?.confidence).toBe('likely');
});

test('no capture, or one without reasons: the counter has one meaning', () => {
  expect(judge({ cpus: [{ dropped: 9 }] })?.confidence).toBe('certain');
  const old = capture([{ location: 'enqueue_to_backlog', packets: 9 }], false);
  expect(judge({ cpus: [{ dropped: 9 }], drops: old })?.confidence).toBe('certain');
});

test('another namespace: only what its interfaces counted can be its own', () => {
  const cpus = [{ dropped: 100 }];
  expect(judge({ cpus, when: foreign, rxDropped: { vb: 30n, vc: 20n } })?.packets).toBe(50);
  expect(judge({ cpus, when: foreign, rxDropped: { vb: 5000n } })?.packets).toBe(100);
  expect(judge({ cpus, when: foreign, rxDropped: { vb: 0n } })).toBeUndefined();
  // Its interfaces could not be read: nothing can be laid at its door.
  expect(judge({ cpus, when: foreign })).toBeUndefined();
});

test.each([
  [1000, '2000'],
  [10, '1000'],
  [9000, '16000'],
  [15_999, '16000'],
])('a queue of %d packets may hold %s', (backlog, to) => {
  expect(judge({ cpus: [{ dropped: 5 }], backlog })?.fixes).toMatchObject([
    {
      id: 'raise-backlog',
      risk: 'safe',
      steps: [{ key: 'net.core.netdev_max_backlog', from: String(backlog), to, hostWide: true }],
      expect: { counter: 'softnet dropped', traffic: 'softnet processed' },
    },
  ]);
});

test.each([16_000, 50_000])('a queue of %d is long enough: spread the load', (backlog) => {
  const [fix, ...others] = judge({ cpus: [{ dropped: 5 }], backlog })?.fixes ?? [];
  expect(others).toEqual([]);
  expect(fix).toMatchObject({ id: 'spread-load', steps: [{ kind: 'manual' }] });
});

test('the limit could not be read: no number is invented', () => {
  expect(judge({ cpus: [{ dropped: 5 }], backlog: null })?.fixes).toEqual([]);
});
