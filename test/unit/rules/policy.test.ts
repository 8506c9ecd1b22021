import { expect, test } from 'vitest';
import type { BpfPrograms } from '../../../checks/programs.ts';
import cgroup from '../../../rules/policy/cgroup-bpf-egress.ts';
import lsm from '../../../rules/policy/lsm-drop.ts';
import filter from '../../../rules/policy/socket-filter-drop.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import {
  capture,
  causesOf,
  detailsOf,
  foreign,
  programsOf,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';

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

const web = '/system.slice/web.service';
const systemd = { pid: 1, name: 'systemd' };
const loaded = (id: number, name: string) => ({
  id,
  name,
  loadedAt: '2026-11-22T09:00:00.000Z',
  pins: [],
  holders: [systemd],
});
const egressOf = (cgroup: string, ...ids: readonly number[]) =>
  ({ cgroup, direction: 'egress', programs: ids }) as const;
const ingressOf = (cgroup: string, ...ids: readonly number[]) =>
  ({ cgroup, direction: 'ingress', programs: ids }) as const;

interface Suspicion {
  readonly attached: BpfPrograms['attached'];
  readonly allAttached?: boolean;
  /** Of the only socket whose packets were dropped, as ss tells it. */
  readonly socket?: string;
}

function forbidden({ attached, allAttached = true, socket }: Suspicion) {
  const loadedPrograms = [loaded(7, 'sd_fw_egress'), loaded(8, 'deny'), loaded(9, '')];
  const flow = { source: '192.0.2.1', destination: '192.0.2.2', packets: 60, socket: 4711 };
  const seen = capture([{ ...egress(60)[0], packets: 60, ...detailsOf({ topFlows: [flow] }) }]);
  const evidence = {
    drops: socket === undefined ? seen : { ...seen, cgroups: new Map([[4711, socket]]) },
    snmp: snmpRise({}),
    programs: programsOf({ programs: loadedPrograms, attached, allAttached }),
  };
  const [cause] = causesOf(cgroup.judge(evidence, window));
  const told = cause?.because.filter(({ source }) => source === 'bpftool cgroup tree');
  return {
    rule: cause?.scope.rule,
    told: told?.map(({ text }) => text),
    steps: cause?.fixes[0]?.steps,
  };
}

const firewallOfWeb = `BPF program sd_fw_egress (id 7) of control group ${web}`;

test('the only program for egress is named, with its control group and who holds it', () => {
  const { rule, told, steps } = forbidden({ attached: [egressOf(web, 7), ingressOf('/', 8)] });
  expect(rule).toBe(`${firewallOfWeb}, held by systemd (pid 1)`);
  expect(told).toEqual([
    `the only program for egress on this machine: ${firewallOfWeb}; by its name systemd made it for IPAddressDeny= of web.service`,
  ]);
  expect(steps?.[0]).toEqual({
    kind: 'manual',
    text: 'systemctl show -p IPAddressAllow,IPAddressDeny -- web.service shows what systemd forbids it.',
  });
});

test('of several programs each is told, and none is blamed', () => {
  const { rule, told } = forbidden({ attached: [egressOf(web, 7), egressOf('/kube', 8, 9)] });
  expect(rule).toBeUndefined();
  expect(told).toHaveLength(3);
  expect(told?.[2]).toBe(
    'one of 3 programs for egress on this machine: BPF program (id 9) of control group /kube, held by systemd (pid 1)',
  );
  const half = forbidden({ attached: [egressOf(web, 7)], allAttached: false });
  expect(half.rule).toBeUndefined();
  expect(half.told?.[0]).toMatch(/^one of 1 or more programs/);
});

test('the control group of the socket tells which programs judge it: its own and those above', () => {
  const attached = [egressOf('/', 8), egressOf(web, 7), egressOf('/system.slice/web', 9)];
  const told = (socket: string) => forbidden({ attached, socket }).told;
  expect(told(`${web}/worker`)).toHaveLength(2);
  expect(told('/user.slice')).toEqual([
    'the only program for egress of these sockets: BPF program deny (id 8) of control group /',
  ]);
});

test('many programs are counted, and where there is none now that is said', () => {
  const many = Array.from({ length: 6 }, (_, index) => egressOf(`/${index}`, 8));
  expect(forbidden({ attached: many }).told?.slice(4)).toEqual(['2 more']);
  expect(forbidden({ attached: [] }).told).toEqual([
    'no control group has a program for egress on this machine now',
  ]);
  expect(forbidden({ attached: [], allAttached: false }).told).toEqual([]);
});

test('a filter on a socket: programs of control groups may be it, so none is blamed', () => {
  const judge = (attached: BpfPrograms['attached']) => {
    const evidence = {
      drops: capture(filtered('tcp_v4_rcv', 60)),
      snmp: snmpRise({}),
      programs: programsOf({ programs: [loaded(8, 'deny')], attached }),
    };
    const [cause] = causesOf(filter.judge(evidence, window));
    return [
      cause?.scope.rule,
      cause?.because.find(({ source }) => source === 'bpftool cgroup tree')?.text,
    ];
  };
  expect(judge([ingressOf('/kube', 8)])).toEqual([
    undefined,
    'the only program for ingress on this machine: BPF program deny (id 8) of control group /kube',
  ]);
  expect(judge([egressOf('/kube', 8)])[1]).toMatch(/^no control group has a program/);
});
