import { readFileSync } from 'node:fs';

import { Ajv, type AnySchema } from 'ajv';
import { expect, test } from 'vitest';

import { diagnoseMachine } from '../../../src/engine/machine.ts';
import type { AnyCheck, WatchOptions } from '../../../src/model/check.ts';
import type { DropCapture, DropCount } from '../../../src/model/drops.ts';
import type { ClosedSite, Host, Machine, Site } from '../../../src/model/host.ts';
import { ok, unread } from '../../../src/model/reading.ts';
import type { Report } from '../../../src/model/report.ts';
import type { AnyRule } from '../../../src/model/rule.ts';
import { sysctlStep } from '../../../src/model/sysctl-step.ts';
import {
  benign,
  captureOf,
  capturing,
  cause,
  clockHost,
  needing,
  quick,
  reading,
  ruleOf,
} from './scripted.ts';

const HOST = 4026531840;
const WEB = 4026532001;
const DB = 4026532002;
const GONE = 4026532009;

function dropIn(netns: number | null, drop: Partial<DropCount>): Partial<DropCount> {
  return {
    ...drop,
    details: {
      netns,
      ifindex: 2,
      interface: 'eth0',
      ipProtocol: 17,
      topFlows: [],
      flowCount: 0,
      flowsApproximate: false,
      samples: [],
      stack: [],
    },
  };
}

function bpf(...drops: readonly Partial<DropCount>[]): DropCapture {
  return { ...captureOf(drops), backend: 'bpf' };
}

/** The host, `web` (a container: reached by a process id) and `db`. */
function machineOf(closed: readonly ClosedSite[] = []): Machine {
  const site = (name: string | null, netns: string | null, netnsInode: number): Site => ({
    name,
    host: clockHost({ netns, netnsInode, netnsCount: 3 }),
  });
  return {
    initial: site(null, null, HOST),
    others: [site('web', '77', WEB), site('db', 'db', DB)],
    closed,
    close: () => Promise.resolve(),
  };
}

interface Setup {
  readonly checks?: readonly AnyCheck[];
  readonly rules: readonly AnyRule[];
  readonly capture: DropCapture;
  readonly machine?: Machine;
}

async function reportOf({ checks = [], rules, capture, machine = machineOf() }: Setup) {
  const { report } = await diagnoseMachine(machine, [...checks, capturing(ok(capture))], rules, {
    ...quick,
    version: '1.2.3',
    startedAt: new Date('2026-11-22T10:00:00Z'),
    only: [],
    suppressions: [],
  });
  return report;
}

function netnsOf(host: Host): number {
  return host.facts.netnsInode ?? 0;
}

/** How many packets each namespace counted as refused by a filter. */
function filter(counts: Readonly<Record<number, number>>): { check: AnyCheck; rule: AnyRule } {
  const check = reading('filter', ok(0), {
    read: (host) => Promise.resolve(ok(counts[netnsOf(host)] ?? 0)),
  });
  const fix = {
    id: 'open',
    title: 'Open it',
    risk: 'safe',
    cost: 'none',
    takesEffect: 'at-once',
    steps: [sysctlStep('net.ipv4.ip_forward', 0, 1)],
  } as const;
  const rule = ruleOf('filter', [], {
    needs: needing(check),
    judge: (evidence) => {
      const { last: packets } = evidence['filter'] as { last: number };
      if (packets === 0) return [];
      const claims = [{ reason: 'NETFILTER_DROP', packets }];
      return [cause({ packets, claims, fixes: [fix] })];
    },
  });
  return { check, rule };
}

const teardown = ruleOf('teardown', [benign({ claims: [{ reason: 'QUEUE_PURGE' }] })]);

function sumOfParts(report: Report): Report['totals'] {
  const sum = { dropped: 0, explained: 0, benign: 0, unexplained: 0 };
  for (const { totals } of report.namespaces ?? []) {
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += totals[key];
  }
  return sum;
}

test('each namespace is judged by its own counters and drops; sums and the schema hold', async () => {
  const { check, rule } = filter({ [WEB]: 500, [DB]: 7 });
  const report = await reportOf({
    checks: [check],
    rules: [rule, teardown],
    capture: bpf(
      dropIn(WEB, { reason: 'NETFILTER_DROP', packets: 500 }),
      dropIn(DB, { reason: 'NETFILTER_DROP', packets: 10 }),
      dropIn(DB, { reason: 'QUEUE_PURGE', packets: 4 }),
      dropIn(HOST, { reason: 'QUEUE_PURGE', packets: 2 }),
      dropIn(null, { reason: 'QUEUE_PURGE', packets: 1 }),
    ),
  });
  expect(report.causes.map(({ rank, scope, packets }) => [rank, scope.netns, packets])).toEqual([
    [1, 'web', 500],
    [2, 'db', 7],
  ]);
  expect(report.causes.map(({ fixes }) => fixes[0]?.steps[0]?.command)).toEqual([
    'nsenter -t 77 -n sysctl -w net.ipv4.ip_forward=1',
    'ip netns exec db sysctl -w net.ipv4.ip_forward=1',
  ]);
  expect(report.totals).toEqual({ dropped: 517, explained: 507, benign: 7, unexplained: 3 });
  expect(sumOfParts(report)).toEqual(report.totals);
  expect(report.causes[0]?.share).toBe(500 / 517);
  expect(report.unexplained).toEqual([
    expect.objectContaining({ netns: 'db', reason: 'NETFILTER_DROP', packets: 3 }),
  ]);
  expect(report.benign).toEqual([{ id: 'teardown', packets: 7, text: 'harmless' }]);
  expect(
    report.namespaces?.map((entry) =>
      (['name', 'netns', 'inode', 'verdict', 'ofNoNamespace'] as const).map((key) => entry[key]),
    ),
  ).toEqual([
    ['web', '77', WEB, 'critical', undefined],
    ['db', 'db', DB, 'warning', undefined],
    [null, null, HOST, 'ok', 1],
  ]);
  expect(report.verdict).toBe('critical');
  expect(report.notes).toEqual([expect.stringMatching(/^1 drops are of no known/)]);

  const schema = JSON.parse(readFileSync('docs/report.schema.json', 'utf8')) as AnySchema;
  const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(schema);
  expect([validate(JSON.parse(JSON.stringify(report))), validate.errors]).toEqual([true, null]);
});

test('a storm in one namespace leaves the others ok', async () => {
  const report = await reportOf({
    rules: [],
    capture: bpf(dropIn(WEB, { packets: 100_000 })),
  });
  expect(report.namespaces?.map(({ name, verdict }) => [name, verdict])).toEqual([
    ['web', 'warning'],
    [null, 'ok'],
    ['db', 'ok'],
  ]);
});

test('what is the same everywhere is read once and judged once, from all drops', async () => {
  let read = 0;
  const backlog = reading('softnet', ok(0), {
    hostWide: true,
    read: () => Promise.resolve(ok(++read)),
  });
  const rule = ruleOf(
    'backlog',
    [cause({ packets: 60, claims: [{ reason: 'CPU_BACKLOG', packets: 60 }] })],
    { needs: needing(backlog) },
  );
  const needsMore = reading('more', unread('absent', 'not here'), { hostWide: true });
  const unjudged = ruleOf('unjudged', [], { needs: needing(needsMore) });
  const report = await reportOf({
    checks: [backlog, needsMore],
    rules: [rule, unjudged],
    capture: bpf(
      dropIn(WEB, { reason: 'CPU_BACKLOG', packets: 58 }),
      dropIn(DB, { reason: 'CPU_BACKLOG', packets: 2 }),
    ),
  });
  expect(read).toBe(2);
  expect(report.causes).toEqual([
    expect.objectContaining({
      id: 'backlog',
      packets: 60,
      scope: { netns: 'web', interface: 'eth0' },
      because: [
        {
          source: 'skb:kfree_skb',
          text: 'network namespaces where they died: 58 in web, 2 in db',
        },
      ],
    }),
  ]);
  expect(report.totals).toEqual({ dropped: 60, explained: 60, benign: 0, unexplained: 0 });
  expect(sumOfParts(report)).toEqual(report.totals);
  expect(report.notJudged).toEqual([{ rule: 'unjudged', missing: ['more: not here'] }]);
});

test('drops of a namespace that came or went are told by its inode, and alarm nobody', async () => {
  const report = await reportOf({
    rules: [],
    capture: bpf(dropIn(GONE, { packets: 900 })),
  });
  expect(report.totals.dropped).toBe(0);
  expect(report.elsewhere).toMatchObject({
    packets: 900,
    drops: [{ netns: `inode ${GONE}`, packets: 900 }],
  });
  expect(report.namespaces?.find(({ inode }) => inode === GONE)).toMatchObject({
    name: `inode ${GONE}`,
    verdict: 'unknown',
    unread: expect.stringMatching(/came or went/) as string,
  });
  expect(report.verdict).toBe('ok');
});

test('a namespace that could not be entered makes the verdict unknown', async () => {
  const closed = [{ name: 'vault', inode: GONE, reason: 'run whydrop as root' }];
  const capture = bpf(dropIn(GONE, { packets: 900 }));
  const report = await reportOf({ rules: [], capture, machine: machineOf(closed) });
  expect(report.verdict).toBe('unknown');
  expect(report.elsewhere.drops).toEqual([expect.objectContaining({ netns: 'vault' })]);
  expect(report.namespaces?.filter(({ inode }) => inode === GONE)).toEqual([
    expect.objectContaining({ name: 'vault', unread: 'run whydrop as root' }),
  ]);
});

test('tracefs cannot tell namespaces apart: counters place causes, the rest is elsewhere', async () => {
  const { check, rule } = filter({ [WEB]: 500, [DB]: 7 });
  const report = await reportOf({
    checks: [check],
    rules: [rule, teardown],
    capture: captureOf([
      { reason: 'NETFILTER_DROP', packets: 600 },
      { reason: 'QUEUE_PURGE', packets: 5 },
    ]),
  });
  expect(report.causes.map(({ scope, packets }) => [scope.netns, packets])).toEqual([
    ['web', 500],
    ['db', 7],
  ]);
  // Each drop is given away once, whoever claims it.
  expect(report.totals).toEqual({ dropped: 512, explained: 507, benign: 5, unexplained: 0 });
  expect(report.elsewhere.packets).toBe(93);
  expect(report.elsewhere.text).toMatch(/does not say in which network namespace/);
  expect(report.notes).toEqual([expect.stringMatching(/tracefs does not tell/)]);
});

test('what is said of some namespaces only, names them', async () => {
  const check = reading('some', ok(0), {
    read: (host) => Promise.resolve(netnsOf(host) === DB ? unread('absent', 'no') : ok(0)),
  });
  const noted = reading('noted', ok(0, ['the same everywhere']));
  const rule = ruleOf('r', [], { needs: needing(check, noted) });
  const report = await reportOf({ checks: [check, noted], rules: [rule], capture: bpf() });
  expect(report.notJudged).toEqual([{ rule: 'r', missing: ['some: no'], namespaces: ['db'] }]);
  const states = report.checks.map(({ id, status, namespaces }) => [id, status, namespaces]);
  expect(states).toEqual([
    ['some', 'ok', [null, 'web']],
    ['noted', 'ok', undefined],
    ['drops', 'ok', undefined],
    ['some', 'absent', ['db']],
  ]);
});

test('the capture is of the whole machine, and one', async () => {
  const asked: WatchOptions[] = [];
  const watch = capturing(ok(bpf()), {
    start: (_, options) => {
      asked.push(options);
      return Promise.resolve(ok({ mark: () => undefined, stop: () => Promise.resolve(ok(bpf())) }));
    },
  });
  const options = { ...quick, version: '1', startedAt: new Date(0), only: [], suppressions: [] };
  await diagnoseMachine(machineOf(), [watch], [], options);
  expect(asked).toEqual([{ capture: 'auto' }]);
});
