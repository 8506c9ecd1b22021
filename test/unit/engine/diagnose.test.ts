import { readFileSync } from 'node:fs';

import { Ajv, type AnySchema } from 'ajv';
import { expect, test } from 'vitest';

import { diagnose, type DiagnoseOptions } from '../../../src/engine/diagnose.ts';
import type { AnyCheck } from '../../../src/model/check.ts';
import type { Host, HostFacts } from '../../../src/model/host.ts';
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
  counting,
  needing,
  quick,
  reading,
  ruleOf,
} from './scripted.ts';

interface Setup {
  readonly rules?: readonly AnyRule[];
  readonly checks?: readonly AnyCheck[];
  readonly facts?: Partial<HostFacts>;
  readonly host?: Host;
  readonly options?: Partial<DiagnoseOptions>;
}

async function reportOf({ rules = [], checks = [], facts, host, options }: Setup): Promise<Report> {
  const { report } = await diagnose(host ?? clockHost(facts), checks, rules, {
    ...quick,
    version: '1.2.3',
    startedAt: new Date('2026-11-22T10:00:00Z'),
    only: [],
    suppressions: [],
    ...options,
  });
  return report;
}

const drops = capturing(
  ok(
    captureOf([
      { reason: 'IP_RPFILTER', packets: 90, edgePackets: 6 },
      { reason: 'NO_SOCKET', packets: 25 },
      { reason: 'QUEUE_PURGE', packets: 10 },
    ]),
  ),
);
const rpfilter = ruleOf('rpfilter', [
  cause({
    packets: 80,
    traffic: { packets: 1000, what: 'packets' },
    scope: { interface: 'eth0' },
    because: [{ source: 'TcpExt IPReversePathFilter', text: 'rose' }],
    claims: [{ reason: 'IP_RPFILTER', packets: 80 }],
  }),
]);
const ring = ruleOf('ring', [
  cause({
    packets: 100,
    confidence: 'likely',
    scope: { interface: 'eth1' },
    because: [{ source: 'rx_missed_errors', text: 'rose' }],
    beforeEvents: true,
  }),
]);
const teardown = ruleOf('teardown', [
  benign({ text: 'sockets closed', claims: [{ reason: 'QUEUE_PURGE' }] }),
  benign({ text: 'never seen', claims: [{ reason: 'UNIX_DISCONNECT' }] }),
]);
const all = { rules: [rpfilter, ring, teardown], checks: [drops] };

test('each packet is counted once, and the report is valid', async () => {
  const report = await reportOf(all);
  expect(report.totals).toEqual({
    // 80 counted at the filter and 100 at the ring. Of the 90 captured at the filter the 6 at the edges
    // of the window are forgiven; 4 and 25 are left that nobody claims.
    explained: 180,
    benign: 10,
    unexplained: 29,
    dropped: 219,
  });
  expect(
    report.causes.map(({ rank, id, packets, packetsPerSecond, share }) => [
      rank,
      id,
      packets,
      packetsPerSecond,
      share,
    ]),
  ).toEqual([
    [1, 'ring', 100, 20, 100 / 219],
    [2, 'rpfilter', 80, 16, 80 / 219],
  ]);
  expect(report.benign).toEqual([{ id: 'teardown', packets: 10, text: 'sockets closed' }]);
  expect(report.unexplained.map(({ reason, packets }) => [reason, packets])).toEqual([
    ['IP_RPFILTER', 4],
    ['NO_SOCKET', 25],
  ]);
  expect(report.elsewhere).toEqual({ packets: 0, text: '', drops: [] });
  expect(report.reconciliation).toEqual([]);
  expect(report.uncounted.map(({ reason }) => reason)).toEqual([
    'IP_RPFILTER',
    'NO_SOCKET',
    'QUEUE_PURGE',
  ]);
  expect(report.verdict).toBe('critical');
  expect(report.window).toEqual({ startedAt: '2026-11-22T10:00:00.000Z', seconds: 5 });

  const schema = JSON.parse(readFileSync('docs/report.schema.json', 'utf8')) as AnySchema;
  const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(schema);
  expect([validate(JSON.parse(JSON.stringify(report))), validate.errors]).toEqual([true, null]);
});

test.each([
  ['another namespace', { netns: 'blue', netnsCount: 2 }, /No counter of network namespace blue /],
  ['one of several', { netnsCount: 3 }, /No counter of this network namespace /],
])('%s: what no counter places here is elsewhere, and alarms nobody', async (_, facts, text) => {
  const report = await reportOf({ ...all, rules: [rpfilter], facts });
  expect(report.unexplained).toEqual([]);
  expect(report.elsewhere.packets).toBe(39);
  expect(report.elsewhere.text).toMatch(text);
  expect(report.totals).toEqual({ dropped: 80, explained: 80, benign: 0, unexplained: 0 });
});

test('how many namespaces there are is not known: nothing is waved away', async () => {
  const report = await reportOf({ ...all, rules: [], facts: { netnsCount: null } });
  expect([report.totals.unexplained, report.verdict]).toEqual([125, 'warning']);
});

test('rules are told the window, and what is in view', async () => {
  const seen: unknown[] = [];
  const spy = ruleOf('spy', [], {
    judge: (_, window) => {
      seen.push(window);
      return [];
    },
  });
  await reportOf({ rules: [spy], options: { interfaces: ['eth0'], seconds: 2 } });
  await reportOf({ rules: [spy], facts: { netns: 'blue', netnsCount: null } });
  await reportOf({ rules: [spy], facts: { netnsCount: 2 }, options: { seconds: 0 } });
  // Started by `ip netns exec`: nobody named a namespace.
  await reportOf({ rules: [spy], host: { ...clockHost(), initial: clockHost() } });
  const none = { interfaces: [] };
  expect(seen).toEqual([
    { seconds: 2, foreignNetns: false, severalNetns: false, interfaces: ['eth0'] },
    { seconds: 5, foreignNetns: true, severalNetns: true, ...none },
    { seconds: 0, foreignNetns: false, severalNetns: true, ...none },
    { seconds: 5, foreignNetns: true, severalNetns: true, ...none },
  ]);
});

test('scope and commands name the namespace under diagnosis', async () => {
  const fix = {
    id: 'loose',
    title: 'Loosen it',
    risk: 'caution',
    cost: 'spoofing',
    takesEffect: 'at-once',
    steps: [sysctlStep('net.ipv4.conf.eth0.rp_filter', 1, 2)],
  } as const;
  const rule = ruleOf('r', [cause({ packets: 1, scope: { interface: 'eth0' }, fixes: [fix] })]);
  const { causes, scope } = await reportOf({ rules: [rule], facts: { netns: 'blue' } });
  expect(scope.netns).toEqual(['blue']);
  expect(causes[0]).toMatchObject({
    scope: { netns: 'blue', interface: 'eth0' },
    fixes: [
      { steps: [{ command: 'ip netns exec blue sysctl -w net.ipv4.conf.eth0.rp_filter=2' }] },
    ],
  });
});

test('a suppressed loss is out of the verdict, not out of the arithmetic', async () => {
  const ignored = { suppressions: [{ id: 'ring', scope: 'eth1', reason: 'known' }] };
  const report = await reportOf({ ...all, rules: [ring, teardown], options: ignored });
  expect(report.causes).toEqual([]);
  expect(report.suppressed).toEqual([{ id: 'ring', reason: 'known' }]);
  expect(report.totals).toMatchObject({ explained: 100, dropped: 225 });
  const elsewhere = { suppressions: [{ id: 'ring', scope: 'eth9', reason: 'known' }] };
  expect((await reportOf({ ...all, options: elsewhere })).suppressed).toEqual([]);
});

test('--only: the others still explain their drops', async () => {
  const report = await reportOf({ ...all, options: { only: ['ring'] } });
  expect(report.causes.map(({ id }) => id)).toEqual(['ring']);
  expect(report.suppressed).toEqual([{ id: 'rpfilter', reason: 'not asked for (--only)' }]);
  expect(report.totals).toMatchObject({ explained: 180, unexplained: 29 });
});

test('--iface: causes of other interfaces are not asked for; those of none concern all', async () => {
  const options = { interfaces: ['eth0'] };
  const host = ruleOf('host', [cause({ packets: 1 })]);
  const report = await reportOf({ ...all, rules: [rpfilter, ring, host], options });
  expect(report.causes.map(({ id }) => id)).toEqual(['rpfilter', 'host']);
  expect(report.totals.explained).toBe(81);
});

const details = {
  netns: 4026532000,
  ifindex: 2,
  interface: 'eth0',
  ipProtocol: 17,
  topFlows: [],
  flowCount: 0,
  flowsApproximate: false,
  samples: [],
  stack: [],
};

test('--iface: what nothing explains on other interfaces is elsewhere; without one it may be of this', async () => {
  const seen = captureOf([
    { packets: 1, details },
    { packets: 30, details: { ...details, interface: 'eth1' } },
    { packets: 3, details: { ...details, interface: null } },
  ]);
  const report = await reportOf({
    checks: [capturing(ok(seen))],
    facts: { netnsInode: 4026532000 },
    options: { interfaces: ['eth0'] },
  });
  expect(report.unexplained.map(({ packets }) => packets)).toEqual([1, 3]);
  expect(report.elsewhere).toMatchObject({
    packets: 30,
    text: expect.stringMatching(/other interfaces/) as string,
  });
  expect(report.verdict).toBe('ok');
});

test('rules are shown the drops of other namespaces apart from those of this one', async () => {
  const watch = capturing(
    ok(
      captureOf([
        { packets: 2, details },
        { packets: 5, details: { ...details, netns: 7 } },
      ]),
    ),
  );
  const seen: unknown[] = [];
  const spy = ruleOf('spy', [], {
    needs: { watch },
    judge: (evidence) => {
      seen.push(evidence['watch']);
      return [];
    },
  });
  const facts = { netnsInode: 4026532000 };
  const { elsewhere } = await reportOf({ rules: [spy], checks: [watch], facts });
  expect(seen).toMatchObject([{ drops: [{ packets: 2 }], others: [{ packets: 5 }] }]);
  expect(elsewhere.text).toContain('`whydrop report --netns all`');
});

test('--netns: the capture is asked for that namespace; what it left out is told, not hidden', async () => {
  const asked: unknown[] = [];
  const seen = {
    ...captureOf([
      { packets: 2, details },
      { packets: 5, details: { ...details, netns: null } },
    ]),
    unselected: 90_000,
  };
  const watch = capturing(ok(seen), {
    start: (_, options) => {
      asked.push(options);
      const stop = () => Promise.resolve(ok(seen));
      return Promise.resolve(ok({ mark: () => undefined, stop }));
    },
  });
  const facts = { netns: 'blue', netnsInode: 4026532000, netnsCount: 2 };
  const report = await reportOf({ checks: [watch], facts });
  expect(asked).toEqual([{ capture: 'auto', netns: 4026532000 }]);
  expect(report.totals.unexplained).toBe(2);
  expect(report.elsewhere).toMatchObject({
    packets: 90_005,
    text: expect.stringMatching(
      /neither interface nor socket.* 90000 packets died in other/,
    ) as string,
    drops: [{ packets: 5 }],
  });
  await reportOf({ checks: [watch] });
  expect(asked.at(-1)).toEqual({ capture: 'auto' });
});

test('a consequence stands under its root, and its loss still raises the verdict', async () => {
  const root = ruleOf('cpu', [cause({ confidence: 'possible' })]);
  const follower = { ...ring, consequenceOf: ['cpu'] };
  const report = await reportOf({ rules: [root, follower] });
  expect(report.causes).toMatchObject([
    { id: 'cpu', packets: 100, severity: 'critical', consequences: [{ id: 'ring', packets: 100 }] },
  ]);
  expect(report.totals.explained).toBe(100);
  expect(report.verdict).toBe('critical');
  // Nobody hides the follower by hiding the root.
  const hidden = { suppressions: [{ id: 'cpu', reason: 'known' }] };
  const without = await reportOf({ rules: [root, follower], options: hidden });
  expect(without.causes.map(({ id }) => id)).toEqual(['ring']);
});

const noCounters = reading('counters', unread('denied', 'only root may'), { core: true });
const noTool = reading('tool', unread('absent', 'not installed'));

test('a core source that could not be read: unknown, unless something was found', async () => {
  const blind = await reportOf({ checks: [noCounters] });
  expect(blind.verdict).toBe('unknown');
  expect(blind.checks).toMatchObject([
    {
      id: 'counters',
      core: true,
      status: 'denied',
      reason: 'only root may',
    },
  ]);
  expect((await reportOf({ checks: [noCounters], rules: [ring] })).verdict).toBe('critical');
});

test('another source that could not be read: its rules are not judged, and that is said', async () => {
  const rule = ruleOf('r', [cause({ packets: 500 })], { needs: needing(noTool) });
  const report = await reportOf({ checks: [noTool], rules: [rule] });
  expect(report.notJudged).toEqual([{ rule: 'r', missing: ['tool: not installed'] }]);
  expect([report.causes, report.verdict]).toEqual([[], 'ok']);
  expect(report.checks[0]).not.toHaveProperty('core');
});

const noCapture = capturing(unread('denied', 'tracefs: only root may'));

test.each([
  ['missed when it was wanted', {}, 'unknown'],
  ['not missed when it was switched off', { capture: 'none' }, 'ok'],
  ['not missed when only settings were read', { seconds: 0 }, 'ok'],
] as const)('the capture is %s', async (_, options, verdict) => {
  const report = await reportOf({ checks: [noCapture], options });
  expect(report.verdict).toBe(verdict);
  expect(report.capture).toMatchObject({
    backend: 'none',
    events: 0,
    unavailable: [{ backend: 'tracefs' }],
  });
});

test('every way to watch drops that was tried is told, with its reason', async () => {
  const tried = [
    { way: 'bpf', reason: 'no libbpf' },
    { way: 'tracefs', reason: 'no tracefs' },
  ];
  const neither = capturing({ ...unread('absent', 'no tracefs'), tried });
  const blind = await reportOf({ checks: [neither] });
  expect(blind.capture.unavailable).toEqual([
    { backend: 'bpf', reason: 'no libbpf' },
    { backend: 'tracefs', reason: 'no tracefs' },
  ]);
  expect(blind.verdict).toBe('unknown');

  const unavailable = [{ backend: 'bpf', reason: 'no libbpf' }];
  const second = capturing(ok({ ...captureOf([]), unavailable }));
  const seeing = await reportOf({ checks: [second] });
  expect(seeing.capture).toMatchObject({ backend: 'tracefs', unavailable });
  expect(seeing.verdict).toBe('ok');
});

test('what crashed is told: rules and checks', async () => {
  const rule = ruleOf('rule', [], {
    judge: () => {
      throw new Error('boom');
    },
  });
  const check = reading('check', ok(1), {
    core: true,
    read: () => Promise.reject(new Error('bang')),
  });
  const report = await reportOf({ rules: [rule], checks: [check] });
  expect(report.crashed).toEqual([
    { id: 'rule', error: 'boom' },
    { id: 'check', error: 'bang' },
  ]);
});

test('counters that went down are named, the first few of them', async () => {
  const down = { first: 9n, last: 1n };
  const note = async (...names: readonly string[]) =>
    (
      await reportOf({
        checks: [counting(Object.fromEntries(names.map((name) => [name, down])), { core: true })],
      })
    ).notes;
  expect(await note()).toEqual([]);
  expect(await note('a')).toEqual([expect.stringMatching(/say nothing: counts a\.$/)]);
  expect(await note('a', 'b', 'c', 'd', 'e', 'f', 'g')).toEqual([
    expect.stringMatching(/say nothing: counts a, .*, counts e and 2 more\.$/),
  ]);
});

test('a counter of 32 bits that wrapped is not among them', async () => {
  const wrapped = { n: { first: 0xffff_ffffn, last: 3n } };
  const checks = [counting(wrapped, { core: true, counterBits: 32 })];
  const { report, rises } = await diagnose(clockHost(), checks, [], {
    ...quick,
    version: '',
    startedAt: new Date(0),
    only: [],
    suppressions: [],
  });
  expect(report.notes).toEqual([]);
  expect(rises.get('counts n')).toBe(4);
});

test('events that the kernel lost make the counts lower bounds', async () => {
  const overrun = capturing(ok({ ...captureOf([]), lost: 7 }));
  const report = await reportOf({ checks: [overrun] });
  expect(report.capture.lost).toBe(7);
  expect(report.notes).toEqual([expect.stringContaining('lost 7 events')]);
});

test('notes of a check are passed on', async () => {
  const check = reading('c', ok(1, ['garbled']), { core: true });
  expect((await reportOf({ checks: [check] })).checks[0]?.notes).toEqual(['garbled']);
});

test('duration 0: no rates, no division by the window', async () => {
  const rule = ruleOf('r', [cause()]);
  const report = await reportOf({ rules: [rule], options: { seconds: 0 } });
  expect(report.window.seconds).toBe(0);
  expect(report.causes[0]).toMatchObject({ packetsPerSecond: 0, share: 0, severity: 'notice' });
});
