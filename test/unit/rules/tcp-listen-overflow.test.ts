import { expect, test } from 'vitest';
import type { Listener, Listeners } from '../../../checks/listeners.ts';
import overflow from '../../../rules/tcp/tcp-listen-overflow.ts';
import syn from '../../../rules/tcp/tcp-syn-queue.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { Sampled } from '../../../src/model/check.ts';
import type { CauseFinding } from '../../../src/model/rule.ts';
import { capture, causesOf, settings, snmpRise, window, type Counters } from './evidence.ts';

const nginx: Listener = {
  local: '0.0.0.0:80',
  port: 80,
  queued: 0,
  backlog: 128,
  inode: 7,
  process: { pid: 9, name: 'nginx' },
};

/** Looks at one socket: how many connections waited at each. */
function looks(queues: readonly number[], socket = nginx): Sampled<Listeners> {
  const samples = queues.map((queued) => ({
    counters: new Map(),
    sockets: [
      { ...socket, queued },
      { ...nginx, local: '*:22', port: 22, inode: 8 },
    ],
  }));
  const [first = { counters: new Map() }] = samples;
  return { first, last: samples.at(-1) ?? first, samples };
}

interface Case {
  readonly overflows?: number;
  readonly counters?: Counters;
  readonly listeners?: Sampled<Listeners>;
  readonly somaxconn?: number;
  readonly drops?: Parameters<typeof capture>[0];
}

function judge({ overflows = 60, counters, listeners, somaxconn = 4096, drops }: Case) {
  const snmp = snmpRise({ 'TcpExt.ListenOverflows': overflows, ...counters });
  const sysctl = settings({ 'net.core.somaxconn': somaxconn });
  const evidence = { snmp, listeners, sysctl, drops: drops && capture(drops) };
  return causesOf(overflow.judge(evidence, window))[0];
}

const stepsOf = (cause: CauseFinding | undefined) =>
  cause?.fixes[0]?.steps.map((step) =>
    step.kind === 'sysctl' ? `${step.key} ${step.from} → ${step.to}` : step.kind,
  );

test('the counter alone is certain, and one refusal is enough', () => {
  expect(judge({ overflows: 0 })).toBeUndefined();
  expect(judge({ overflows: 1 })).toMatchObject({ confidence: 'certain', packets: 1, fixes: [] });
});

test('names the program whose queue was full', () => {
  const cause = judge({ listeners: looks([129, 129, 129]), counters: { 'Tcp.PassiveOpens': 40 } });
  expect(cause).toMatchObject({
    scope: { socket: 'tcp 0.0.0.0:80', process: { name: 'nginx' } },
    traffic: { packets: 100 },
    beforeEvents: true,
  });
  expect(cause?.because[1]?.text).toContain('full in 3 of 3 looks');
});

test('a queue takes one more than its backlog', () => {
  expect(judge({ listeners: looks([128, 128]) })?.scope).toEqual({});
  expect(judge({ listeners: looks([129, 0, 0, 0]) })?.scope).toHaveProperty('process');
});

test('a longer queue only where it empties in between, and only as far as it can count', () => {
  const bursts = looks([129, 0, 129, 0]);
  expect(stepsOf(judge({ listeners: bursts }))).toEqual(['manual']);
  expect(stepsOf(judge({ listeners: bursts, somaxconn: 128 }))).toEqual([
    'net.core.somaxconn 128 → 258',
    'manual',
  ]);
  const behind = judge({ listeners: looks([129, 129, 129, 0]), somaxconn: 128 });
  expect(stepsOf(behind)).toEqual(['manual']);
  expect(behind?.fixes[0]?.title).toContain('accept faster');
  // One look tells nothing about how long.
  expect(judge({ listeners: looks([129]) })?.fixes[0]?.id).toBe('accept-faster-80');
});

test('last steps of handshakes leave an event', () => {
  const drops = [{ reason: 'TCP_LISTEN_OVERFLOW', location: 'tcp_v4_rcv', packets: 60 }];
  expect(judge({ drops })).not.toHaveProperty('beforeEvents');
});

test('look-alike: requests refused for other reasons are not of the accept queue', () => {
  const counters = { 'TcpExt.ListenDrops': 90, 'TcpExt.TCPReqQFullDrop': 90 };
  expect(judge({ overflows: 0, counters })).toBeUndefined();
});

function judgeSyn(counters: Counters, cookies: number | null = 1) {
  const sysctl =
    cookies === null
      ? undefined
      : settings({ 'net.ipv4.tcp_syncookies': cookies, 'net.ipv4.tcp_max_syn_backlog': 256 });
  return causesOf(syn.judge({ snmp: snmpRise(counters), sysctl, kernelLog: undefined }, window))[0];
}

test('half-open connections: what the queue refuses is lost', () => {
  const counters = { 'TcpExt.TCPReqQFullDrop': 80, 'TcpExt.ListenDrops': 80 };
  const cause = judgeSyn(counters, 0);
  expect(cause).toMatchObject({ confidence: 'certain', packets: 80, beforeEvents: true });
  expect(stepsOf(cause)).toEqual(['net.ipv4.tcp_syncookies 0 → 1']);
  expect(cause?.means).toContain('SYN flood');
  expect(judgeSyn({ ...counters, 'Tcp.PassiveOpens': 50 }, 0)?.means).toContain('too little room');
  // Whether they are on could not be read: no change is made up.
  expect(stepsOf(judgeSyn(counters, null))).toEqual(['manual']);
});

test('without cookies, what neither queue refused is beyond tcp_max_syn_backlog', () => {
  const counters = { 'TcpExt.ListenDrops': 30, 'TcpExt.ListenOverflows': 10 };
  expect(judgeSyn(counters, 0)).toMatchObject({
    confidence: 'likely',
    packets: 20,
    fixes: [{ expect: { counter: 'snmp TcpExt.ListenDrops' } }],
  });
  // With them it is something else: no memory, or no route.
  expect(judgeSyn(counters, 1)).toBeUndefined();
  expect(judgeSyn(counters, null)).toBeUndefined();
});

test('SYN cookies lose nothing: a notice, from ten on', () => {
  const cause = judgeSyn({ 'TcpExt.TCPReqQFullDoCookies': 10 });
  expect(cause).toMatchObject({ packets: 0, claims: [] });
  expect(cause && severityOf(cause)).toBe('notice');
  expect(judgeSyn({ 'TcpExt.TCPReqQFullDoCookies': 9 })).toBeUndefined();
});
