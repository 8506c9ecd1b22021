import { expect, test } from 'vitest';
import drops from '../../../checks/drops.ts';
import link, { type Link } from '../../../checks/link.ts';
import snmp from '../../../checks/snmp.ts';
import { rules } from '../../../rules/index.ts';
import { attribute } from '../../../src/engine/attribute.ts';
import type { DropCount } from '../../../src/model/drops.ts';
import type { AnyRule, CauseFinding, Finding } from '../../../src/model/rule.ts';
import { capture, causesOf, linkOf, sampled, snmpRise, window, type Counters } from './evidence.ts';

/** `NO_SOCKET@ping_rcv`, with the EtherType where it is not IPv4; no reason before the @: an old kernel. */
type Signature = string;
type Drop = Pick<DropCount, 'reason' | 'location' | 'protocol' | 'packets'>;

interface Situation {
  /** How far counters rose. */
  readonly counters?: Counters;
  /** One interface, at both ends of the window. */
  readonly link?: readonly [first: Partial<Link>, last: Partial<Link>];
  readonly severalNetns?: boolean;
}

/** Every rule that judges by these three checks alone; the others need a fault to say something. */
const judged = rules.filter(({ needs }) =>
  Object.values(needs).every((check) => [drops, snmp, link].some(({ id }) => id === check.id)),
);
const benignRules = judged.filter((rule) =>
  findingsOf(rule, [], {}).some(({ kind }) => kind === 'benign'),
);

function dropOf(signature: Signature, packets: number): Drop {
  const [what = '', protocol = '0x0800'] = signature.split(' ');
  const [reason = '', location = ''] = what.split('@');
  return { reason: reason === '' ? null : reason, location, protocol: Number(protocol), packets };
}

function captureOf(seen: readonly Drop[]) {
  return capture(
    seen,
    seen.every(({ reason }) => reason !== null),
  );
}

function findingsOf(
  rule: AnyRule,
  seen: readonly Drop[],
  { counters = {}, link = [{}, {}], severalNetns = false }: Situation,
): readonly Finding[] {
  const [first, last] = link.map((one) => ({ interfaces: new Map([['eth0', linkOf(one)]]) }));
  const evidence = {
    drops: captureOf(seen),
    snmp: snmpRise(counters),
    link: sampled(first, last),
  };
  return rule.judge(evidence, { ...window, severalNetns });
}

/** Which benign rule accounts for how many packets, and how many are left. */
function accountOf(
  seen: readonly Drop[],
  situation: Situation = {},
): Readonly<Record<string, number>> {
  const findings = benignRules
    .flatMap((rule) => findingsOf(rule, seen, situation).map((finding) => ({ rule, finding })))
    .filter(({ finding }) => finding.kind === 'benign');
  const { claimed, unexplained } = attribute(findings, captureOf(seen), { several: false });
  const account: Record<string, number> = {};
  for (const { rule, finding } of findings) {
    const packets = claimed.get(finding) ?? 0;
    if (packets > 0) account[rule.id] = (account[rule.id] ?? 0) + packets;
  }
  const left = unexplained.reduce((sum, { packets }) => sum + packets, 0);
  return left > 0 ? { ...account, unexplained: left } : account;
}

function causesBy(
  id: string,
  seen: readonly Drop[],
  situation: Situation,
): readonly CauseFinding[] {
  const rule = judged.find((rule) => rule.id === id);
  if (rule === undefined) throw new Error(`no rule ${id}`);
  return causesOf(findingsOf(rule, seen, situation));
}

// Seen on healthy hosts: in the lab on 6.18, and in what other tools record.
test.each<[Signature, string]>([
  ['QUEUE_PURGE@sk_stream_kill_queues', 'benign-socket-teardown'],
  ['QUEUE_PURGE@inet_sock_destruct 0x86dd', 'benign-socket-teardown'],
  ['QUEUE_PURGE@packet_release', 'benign-socket-teardown'],
  ['SOCKET_CLOSE@unix_release_sock 0', 'benign-socket-teardown'],
  ['UNIX_DISCONNECT@unix_dgram_disconnected 0', 'benign-socket-teardown'],
  ['NOT_SPECIFIED@udp_destruct_common', 'benign-socket-teardown'],
  ['NOT_SPECIFIED@skb_rbtree_purge', 'benign-socket-teardown'],
  ['@skb_queue_purge', 'benign-socket-teardown'],
  ['@sk_stream_kill_queues', 'benign-socket-teardown'],
  ['NOT_SPECIFIED@virtio_transport_recv_pkt 0', 'internal'],
  ['@unix_dgram_connect 0', 'internal'],
  ['@netlink_broadcast_filtered 0', 'internal'],
  ['NOT_SPECIFIED@inet_rtm_getroute', 'internal'],
  ['NOT_SPECIFIED@inet6_rtm_getroute 0', 'internal'],
  ['NOT_SPECIFIED@tcp_v4_rcv', 'tcp-reset-noise'],
  ['NOT_SPECIFIED@tcp_v6_rcv 0x86dd', 'tcp-reset-noise'],
  ['NOT_SPECIFIED@tcp_rcv_state_process', 'tcp-reset-noise'],
  ['TCP_CLOSE@tcp_rcv_state_process', 'tcp-reset-noise'],
  ['TCP_RESET@tcp_validate_incoming', 'tcp-reset-noise'],
  ['@tcp_v4_rcv', 'tcp-reset-noise'],
  ['TCP_OLD_DATA@tcp_rcv_established', 'tcp-sequence-noise'],
  ['TCP_OFOMERGE@tcp_data_queue', 'tcp-sequence-noise'],
  ['TCP_RFC7323_PAWS_ACK@tcp_validate_incoming', 'tcp-sequence-noise'],
  ['@tcp_drop', 'tcp-sequence-noise'],
  ['TCP_ABORT_ON_DATA@tcp_v4_do_rcv', 'tcp-closed-with-data'],
  ['NO_SOCKET@tcp_v4_rcv', 'no-socket-tcp'],
  ['NO_SOCKET@__udp4_lib_rcv', 'no-socket-udp'],
  ['NO_SOCKET@__udp6_lib_rcv 0x86dd', 'no-socket-udp'],
  ['NO_SOCKET@ping_rcv', 'icmp-noise'],
  ['NO_SOCKET@ping_rcv 0x86dd', 'icmp-noise'],
  ['NO_SOCKET@icmp_rcv', 'icmp-noise'],
  ['NO_SOCKET@icmpv6_rcv 0x86dd', 'icmp-noise'],
  ['UNHANDLED_PROTO@icmp_rcv', 'icmp-noise'],
  ['INVALID_PROTO@icmp_rcv', 'icmp-noise'],
  ['IPV6_NDISC_NS_OTHERHOST@ndisc_recv_ns 0x86dd', 'icmp-noise'],
  ['NOT_SPECIFIED@icmpv6_rcv 0x86dd', 'icmp-noise'],
  ['@ping_rcv', 'icmp-noise'],
  ['NOT_SPECIFIED@ip_rcv_finish_core', 'multicast-not-joined'],
  ['NOT_SPECIFIED@ip6_mc_input 0x86dd', 'multicast-not-joined'],
  ['NOT_SPECIFIED@__udp4_lib_rcv', 'multicast-not-joined'],
  ['@igmp_rcv', 'multicast-not-joined'],
  ['IPV6DISABLED@ip6_rcv_core 0x86dd', 'ipv6-disabled'],
  ['NOT_SPECIFIED@ip6_rcv_core 0x86dd', 'ipv6-disabled'],
  ['OTHERHOST@ip_rcv_core', 'l2-otherhost'],
  ['OTHERHOST@ip6_rcv_core 0x86dd', 'l2-otherhost'],
  ['NOT_SPECIFIED@__dev_forward_skb2 0x86dd', 'link-start-up'],
  ['QDISC_DROP@__dev_queue_xmit 0x86dd', 'link-start-up'],
  ['NO_TX_TARGET@br_dev_xmit 0x86dd', 'link-start-up'],
  ['NO_TX_TARGET@vxlan_xmit 0x86dd', 'link-start-up'],
  ['NOT_SPECIFIED@flush_backlog', 'device-change'],
  ['NOT_SPECIFIED@tun_queue_purge', 'device-change'],
  ['NOT_SPECIFIED@netif_napi_add_weight_locked 0', 'device-change'],
  ['@arp_process 0x0806', 'arp-noise'],
  ['NOT_SPECIFIED@stp_pdu_rcv 0x0004', 'l2-unhandled-proto'],
  ['UNHANDLED_PROTO@__netif_receive_skb_core 0x88cc', 'l2-unhandled-proto'],
  ['PACKET_SOCK_ERROR@tpacket_rcv', 'raw-or-packet-socket-full'],
  ['NOT_SPECIFIED@packet_rcv', 'raw-or-packet-socket-full'],
  ['SOCKET_FILTER@raw_rcv', 'raw-or-packet-socket-full'],
  ['SOCKET_RCVBUFF@rawv6_rcv 0x86dd', 'raw-or-packet-socket-full'],
  ['QDISC_CONGESTED@fq_codel_dequeue', 'qdisc-aqm'],
  ['NOT_SPECIFIED@codel_dequeue', 'qdisc-aqm'],
  ['NOT_SPECIFIED@__fq_codel_dequeue', 'qdisc-aqm'],
  ['IP_INNOROUTES@ip6_pkt_discard 0x86dd', 'no-route-in'],
  ['IP_INHDR@ip_forward', 'ip-ttl-exceeded'],
  ['NOT_SPECIFIED@skb_release_data', 'parts-of-packet'],
  ['IP_CSUM@ip_rcv_core', 'ip-header-errors'],
  ['IP_INHDR@ip_rcv_core', 'ip-header-errors'],
  ['ICMP_CSUM@icmp_rcv', 'ip-header-errors'],
  ['IP_NOPROTO@ip_local_deliver_finish', 'ip-unknown-proto'],
  ['IP_LOCALNET@ip_rcv_finish_core', 'ip-martian'],
  ['UNICAST_IN_L2_MULTICAST@ip_rcv_finish_core', 'unicast-in-l2-multicast'],
  ['PKT_TOO_BIG@ip_forward', 'pmtu-blackhole'],
  ['DUP_FRAG@ip_defrag', 'ip-frag-timeout'],
  ['NOT_SPECIFIED@ip_error', 'blackhole-route'],
  ['NOT_SPECIFIED@dst_discard_out 0x86dd', 'blackhole-route'],
  ['NEIGH_FAILED@neigh_invalidate', 'neigh-unresolved'],
  ['TC_INGRESS@__netif_receive_skb_core', 'tc-ingress-drop'],
  ['TC_EGRESS@__dev_queue_xmit', 'tc-egress-drop'],
])('%s is harmless: %s', (signature, id) => {
  expect(accountOf([dropOf(signature, 7)])).toEqual({ [id]: 7 });
});

// Faults, or nobody knows: no counter moved that would tell otherwise.
test.each<Signature>([
  'IP_RPFILTER@ip_rcv_finish_core',
  '@ip_rcv_finish_core',
  'NETFILTER_DROP@nf_hook_slow',
  'NETFILTER_DROP@nft_do_chain',
  '@nf_hook_slow',
  'SOCKET_RCVBUFF@udp_queue_rcv_one_skb',
  '@udp_queue_rcv_one_skb',
  '@__udp4_lib_rcv',
  'PROTO_MEM@__udp_enqueue_schedule_skb',
  'CPU_BACKLOG@enqueue_to_backlog',
  'CPU_BACKLOG@enqueue_to_backlog 0x86dd',
  '@enqueue_to_backlog',
  'UNHANDLED_PROTO@__netif_receive_skb_core 0x8847',
  'NOT_SPECIFIED@__netif_receive_skb_core',
  'NO_SOCKET@cookie_v4_check',
  'TCP_LISTEN_OVERFLOW@tcp_v4_rcv',
  'PROTO_MEM@tcp_rcv_established',
  'SOCKET_BACKLOG@tcp_v4_rcv',
  'SOCKET_FILTER@udp_queue_rcv_one_skb',
  'TCP_CSUM@tcp_v4_rcv',
  'UDP_CSUM@__udp4_lib_rcv',
  'NOT_SPECIFIED@ip_defrag',
  'NOT_SPECIFIED@nf_queue',
  'NOT_SPECIFIED@do_xdp_generic',
  'NOT_SPECIFIED@veth_xdp_rcv_skb',
  'NOT_SPECIFIED@__dev_forward_skb2',
  'QDISC_DROP@__dev_queue_xmit',
  'QDISC_OVERLIMIT@__dev_queue_xmit 0x86dd',
  'NO_TX_TARGET@vxlan_xmit',
  'FULL_RING@tun_net_xmit',
  '@ip6_rcv_core 0x86dd',
  'NOT_SPECIFIED@some_driver_poll',
  'NOT_SPECIFIED@some_driver_poll 0',
  '@some_driver_poll',
])('%s stays unexplained', (signature) => {
  expect(accountOf([dropOf(signature, 7)])).toEqual({ unexplained: 7 });
});

test('NOT_SPECIFIED, or no reason, is never enough for a benign claim: it needs a location', () => {
  expect(benignRules.length).toBeGreaterThan(15);
  const vague = benignRules.flatMap((rule) =>
    findingsOf(rule, [], {})
      .flatMap(({ claims }) => claims)
      .filter(({ reason = null }) => reason === null || reason.includes('NOT_SPECIFIED'))
      .map(({ location = [] }) => ({ rule: rule.id, location })),
  );
  expect(vague.length).toBeGreaterThan(15);
  expect(vague.filter(({ location }) => location.length === 0)).toEqual([]);
});

test('UDP without reasons: as many as the counters call unwanted', () => {
  const seen = [dropOf('@__udp4_lib_rcv', 20)];
  expect(accountOf(seen, { counters: { 'Udp.NoPorts': 5, 'Udp6.NoPorts': 2 } })).toEqual({
    'no-socket-udp': 7,
    unexplained: 13,
  });
  expect(accountOf(seen, { counters: { 'Udp.IgnoredMulti': 20 } })).toEqual({
    'multicast-not-joined': 20,
  });
});

test('IPv6 without reasons: as many as were discarded', () => {
  expect(
    accountOf([dropOf('@ip6_rcv_core 0x86dd', 9)], { counters: { 'Ip6.InDiscards': 4 } }),
  ).toEqual({ 'ipv6-disabled': 4, unexplained: 5 });
});

test('a full accept queue, or a pruned receive buffer, is not taken for the end of a connection', () => {
  expect(
    accountOf([dropOf('NOT_SPECIFIED@tcp_v4_rcv', 30)], {
      counters: { 'TcpExt.ListenOverflows': 12 },
    }),
  ).toEqual({ 'tcp-reset-noise': 18, unexplained: 12 });
  expect(
    accountOf([dropOf('@tcp_rcv_established', 30)], { counters: { 'TcpExt.RcvPruned': 30 } }),
  ).toEqual({ unexplained: 30 });
});

test('start-up of interfaces: up to twenty a second', () => {
  const seen = (packets: number) => [dropOf('NOT_SPECIFIED@__dev_forward_skb2 0x86dd', packets)];
  expect(accountOf(seen(100))).toEqual({ 'link-start-up': 100 });
  expect(accountOf(seen(101))).toEqual({ unexplained: 101 });
});

test('what an interface drops that was up all the time is not start-up', () => {
  const seen = [dropOf('NOT_SPECIFIED@__dev_forward_skb2 0x86dd', 10)];
  const account = (first: Partial<Link>, last: Partial<Link>) =>
    accountOf(seen, { link: [first, last] });
  const before = { txDropped: 3n, carrierChanges: 2n };
  const after = { ...before, txDropped: 11n };
  expect(account(before, after)).toEqual({ 'link-start-up': 2, unexplained: 8 });
  // Its carrier came in the window, or it is a new interface under an old name.
  expect(account(before, { ...after, carrierChanges: 3n })).toEqual({ 'link-start-up': 10 });
  expect(account(before, { ...after, ifindex: 3 })).toEqual({ 'link-start-up': 10 });
});

test.each<[what: string, last: Partial<Link>, causes: number]>([
  ['more than one in a hundred frames', { rxOtherhost: 101n }, 1],
  ['one in a hundred', { rxOtherhost: 100n }, 0],
  ['a handful', { rxPackets: 200n, rxOtherhost: 99n }, 0],
  ['a capture runs', { rxOtherhost: 9000n, promiscuity: 1 }, 0],
  ['a bridge port', { rxOtherhost: 9000n, master: 'br0' }, 0],
  ['a veth', { rxOtherhost: 9000n, kind: 'veth' }, 0],
])('frames for other hosts: %s', (_, last, causes) => {
  const found = causesBy('l2-otherhost', [], { link: [{}, { rxPackets: 10_000n, ...last }] });
  const notice = { packets: 0, severityAtMost: 'notice', confidence: 'possible' };
  expect(found).toMatchObject(Array.from({ length: causes }, () => notice));
});

test.each([
  ['tcp-sequence-noise', 'TCP_OLD_DATA@tcp_data_queue', 'TcpExt.DelayedACKLost'],
  ['tcp-reset-noise', 'TCP_RESET@tcp_validate_incoming', 'Tcp.EstabResets'],
])('%s: a notice above one in a hundred segments, of this namespace', (id, signature, counter) => {
  const causes = (packets: number, situation: Situation) =>
    causesBy(id, [dropOf(signature, packets)], situation);
  const counters = { 'Tcp.InSegs': 20_000, [counter]: 5000 };

  expect(causes(200, { counters })).toEqual([]);
  expect(causes(201, { counters })).toMatchObject([
    // The segments themselves are harmless: they stay with the benign finding.
    { packets: 0, claims: [], severityAtMost: 'notice', confidence: 'possible' },
  ]);
  expect(accountOf([dropOf(signature, 201)], { counters })).toEqual({ [id]: 201 });
  // Too few to say anything, though it is a large share.
  expect(causes(99, { counters: { ...counters, 'Tcp.InSegs': 200 } })).toEqual([]);
  // Another namespace's.
  const elsewhere = { counters: { ...counters, [counter]: 3 }, severalNetns: true };
  expect(causes(5000, elsewhere)).toEqual([]);
  expect(causes(5000, { counters, severalNetns: true })).toHaveLength(1);
});

test('keepalives repeat no data: not a word, however many', () => {
  const keepalives = [dropOf('TCP_OLD_SEQUENCE@tcp_validate_incoming', 2000)];
  const counters = { 'Tcp.InSegs': 2000, 'TcpExt.DelayedACKLost': 1 };
  expect(causesBy('tcp-sequence-noise', keepalives, { counters })).toEqual([]);
  expect(accountOf(keepalives, { counters })).toEqual({ 'tcp-sequence-noise': 2000 });
});
