import { expect, test } from 'vitest';
import cgroup from '../../../rules/policy/cgroup-bpf-egress.ts';
import lsm from '../../../rules/policy/lsm-drop.ts';
import filter from '../../../rules/policy/socket-filter-drop.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import { capture, causesOf, foreign, snmpRise, window, type Counters } from './evidence.ts';

type Drops = Parameters<typeof capture>[0];

const judgeCgroup = (drops: Drops, counters: Counters, where = window, hasReasons = true) => {
  const evidence = { drops: capture(drops, hasReasons), snmp: snmpRise(counters) };
  return causesOf(cgroup.judge({ ...evidence, programs: undefined }, where))[0];
};
const egress = (packets: number) => [
  { reason: 'BPF_CGROUP_EGRESS', location: 'ip_finish_output', packets },
];

test('egress of a control group: certain, of other namespaces only what was discarded here', () => {
  expect(judgeCgroup(egress(60), {})).toMatchObject({ confidence: 'certain', packets: 60 });
  expect(judgeCgroup(egress(60), { 'Ip.OutDiscards': 7 }, foreign)?.packets).toBe(7);
  expect(judgeCgroup(egress(60), {}, foreign)).toBeUndefined();
});

test('a policy is no alarm at the pace of noise, and never critical', () => {
  const severity = (packets: number) => {
    const cause = judgeCgroup(egress(packets), {});
    return cause && severityOf(cause);
  };
  expect([severity(49), severity(50), severity(50_000)]).toEqual(['notice', 'warning', 'warning']);
});

test('egress on kernels without reasons: by the function', () => {
  const drops = [{ reason: null, location: 'ip_finish_output', packets: 60 }];
  expect(judgeCgroup(drops, {}, window, false)).toMatchObject({ confidence: 'likely' });
  const other = [{ reason: null, location: 'ip_finish_output2', packets: 60 }];
  expect(judgeCgroup(other, {}, window, false)).toBeUndefined();
});

const judgeFilter = (drops: Drops, counters: Counters, where = window) => {
  const evidence = { drops: capture(drops), snmp: snmpRise(counters), programs: undefined };
  return causesOf(filter.judge(evidence, where))[0];
};
const filtered = (location: string, packets: number) => [
  { reason: 'SOCKET_FILTER', location, packets },
];

test('a filter on a socket, or on its control group: likely one of the two', () => {
  const counters = { 'Udp.InErrors': 80, 'Udp.RcvbufErrors': 20 };
  expect(judgeFilter(filtered('udp_queue_rcv_one_skb', 60), counters)).toMatchObject({
    confidence: 'likely',
    packets: 60,
  });
  expect(judgeFilter(filtered('tcp_v4_rcv', 60), {})?.packets).toBe(60);
});

test('of the whole machine only as many as UDP here cannot explain otherwise', () => {
  const drops = [...filtered('udp_queue_rcv_one_skb', 60), ...filtered('tcp_v4_rcv', 60)];
  const counters = { 'Udp.InErrors': 80, 'Udp.RcvbufErrors': 60, 'Udp.InCsumErrors': 5 };
  expect(judgeFilter(drops, counters, foreign)?.packets).toBe(15);
  expect(judgeFilter(drops, {}, foreign)).toBeUndefined();
});

test('look-alike: a filter of a raw socket (ping) is not this', () => {
  expect(judgeFilter(filtered('raw_rcv', 60), {})).toBeUndefined();
});

test('a security module: certain here, a hint where it may be elsewhere', () => {
  const judge = (reason: string, where = window) =>
    causesOf(lsm.judge({ drops: capture([{ reason, packets: 60 }]) }, where))[0];
  expect(judge('SECURITY_HOOK')).toMatchObject({
    confidence: 'certain',
    severityAtMost: 'warning',
  });
  expect(judge('SECURITY_HOOK', foreign)).toMatchObject({
    confidence: 'possible',
    severityAtMost: 'notice',
  });
  expect(judge('SOCKET_FILTER')).toBeUndefined();
});
