import { expect, test } from 'vitest';
import type { FragmentMemory, Fragments } from '../../../checks/fragments.ts';
import icmpRatelimit from '../../../rules/ip/icmp-ratelimit.ts';
import ipFragMemory from '../../../rules/ip/ip-frag-memory.ts';
import ipFragTimeout from '../../../rules/ip/ip-frag-timeout.ts';
import pmtuBlackhole from '../../../rules/ip/pmtu-blackhole.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCapture, DropFlow } from '../../../src/model/drops.ts';
import { capture, causesOf, detailsOf, snmpRise, window, type Counters } from './evidence.ts';

const flow = (packets: number): DropFlow => ({
  source: '10.0.0.1',
  destination: '10.0.0.2',
  packets,
});

function tooBig(packets: number, topFlows?: readonly DropFlow[]) {
  const drop = { reason: 'PKT_TOO_BIG', location: 'ip_forward', packets };
  const drops = capture([topFlows === undefined ? drop : { ...drop, ...detailsOf({ topFlows }) }]);
  const snmp = snmpRise({ 'Ip.InReceives': 1000, 'Ip.FragFails': packets });
  return causesOf(pmtuBlackhole.judge({ snmp, drops }, window))[0];
}

test('a flow that does not stop is a black hole; many that learn are not', () => {
  const cause = tooBig(200, [flow(200)]);
  expect(cause).toMatchObject({ confidence: 'likely', packets: 200 });
  expect(cause && severityOf(cause)).toBe('warning');
  expect(tooBig(200, [flow(49), flow(49)])).toBeUndefined();
  expect(tooBig(200, [flow(50)])).toBeDefined();
});

test('too big, and flows not known: a hint above the pace of path MTU discovery', () => {
  expect(tooBig(101)).toMatchObject({ severityAtMost: 'notice' });
  expect(tooBig(100)).toBeUndefined();
  // At that pace not even one flow is enough.
  expect(tooBig(100, [flow(100)])).toBeUndefined();
});

test('TCP of this host learns of a smaller MTU in the middle of a burst; who else goes on does not hear', () => {
  const sent = (ipProtocol: number, location: string) => {
    const details = detailsOf({ ipProtocol, topFlows: [flow(200)] });
    const drops = capture([{ reason: 'NOT_SPECIFIED', location, packets: 200, ...details }]);
    return pmtuBlackhole.judge({ snmp: snmpRise({ 'Ip6.FragFails': 200 }), drops }, window);
  };
  expect(sent(6, 'ip6_fragment')).toMatchObject([{ kind: 'benign' }]);
  const unknown = capture([{ reason: 'NOT_SPECIFIED', location: 'ip_fragment', packets: 99 }]);
  const judge = (packets: number) =>
    pmtuBlackhole.judge({ snmp: snmpRise({ 'Ip.FragFails': packets }), drops: unknown }, window);
  expect(causesOf(judge(199))).toEqual([]);
  expect(causesOf(judge(200))).toMatchObject([{ packets: 101, severityAtMost: 'notice' }]);
  expect(causesOf(sent(17, 'ip6_fragment')).map(severityOf)).toEqual(['warning']);
  // Forwarded, so it is not of this host.
  expect(causesOf(sent(6, 'ip6_forward'))).toHaveLength(1);
});

test.each([
  [25, 0],
  [26, 1],
])('ICMP answers held back: %i', (held, causes) => {
  const snmp = snmpRise({ 'Icmp.OutRateLimitGlobal': held, 'Icmp.OutRateLimitHost': 9000 });
  const found = causesOf(icmpRatelimit.judge({ snmp, sysctl: undefined }, window));
  expect(found).toHaveLength(causes);
  expect(found.map(severityOf).filter((severity) => severity !== 'notice')).toEqual([]);
});

interface Pieces {
  readonly counters: Counters;
  readonly peak?: FragmentMemory;
  readonly drops?: DropCapture;
}

function judgeFragments({ counters, peak, drops }: Pieces) {
  const snmp = snmpRise(counters);
  const empty: Fragments = { ipv4: { datagrams: 0, bytes: 0 } };
  const full: Fragments = peak === undefined ? empty : { ipv4: peak };
  const fragments = { first: empty, last: empty, samples: [empty, full, empty] };
  return {
    lost: causesOf(ipFragTimeout.judge({ snmp, drops }, window))[0],
    memory: causesOf(ipFragMemory.judge({ snmp, fragments, drops }, window))[0],
  };
}

const refused = (packets: number) =>
  capture([{ reason: 'NOT_SPECIFIED', location: 'ip_defrag', packets }]);
const limit = { datagrams: 100, limitBytes: 4_194_304 };

test('timeouts are loss elsewhere; refusals with full memory are ours', () => {
  const counters = { 'Ip.ReasmTimeout': 100, 'Ip.ReasmFails': 100 };
  expect(judgeFragments({ counters })).toMatchObject({
    lost: { confidence: 'certain', packets: 100, severityAtMost: 'warning' },
    memory: undefined,
  });
  const flood = { 'Ip.ReasmTimeout': 5, 'Ip.ReasmFails': 105 };
  const peak = { ...limit, bytes: 0.75 * limit.limitBytes };
  const { lost, memory } = judgeFragments({ counters: flood, peak, drops: refused(100) });
  expect(lost).toBeUndefined();
  expect(memory).toMatchObject({
    confidence: 'certain',
    packets: 100,
    fixes: [{ steps: [{ key: 'net.ipv4.ipfrag_high_thresh', from: '4194304', to: '8388608' }] }],
  });
});

test('refusals without full memory get no larger memory', () => {
  const peak = { ...limit, bytes: 0.74 * limit.limitBytes };
  expect(judgeFragments({ counters: { 'Ip.ReasmFails': 100 }, peak }).memory).toMatchObject({
    confidence: 'possible',
    severityAtMost: 'notice',
    fixes: [],
  });
});

test('failures that are no arrival refused are datagrams overtaken by others', () => {
  const { lost, memory } = judgeFragments({
    counters: { 'Ip.ReasmFails': 100 },
    peak: { ...limit, bytes: limit.limitBytes },
    drops: refused(10),
  });
  expect(memory).toBeUndefined();
  expect(lost).toMatchObject({ confidence: 'likely', packets: 90 });
});

test('a small limit is raised so that what was refused fits, within the default of the kernel', () => {
  const peak = { datagrams: 4, bytes: 4000, limitBytes: 4000 };
  const raised = (fails: number) =>
    judgeFragments({ counters: { 'Ip.ReasmFails': fails }, peak }).memory?.fixes[0]?.steps[0];
  expect(raised(100)).toMatchObject({ from: '4000', to: '264000' });
  expect(raised(100_000)).toMatchObject({ to: '4194304' });
});

test('a few of each are noise', () => {
  const counters = { 'Ip.ReasmTimeout': 25, 'Ip.ReasmFails': 50 };
  expect(judgeFragments({ counters })).toEqual({ lost: undefined, memory: undefined });
});
