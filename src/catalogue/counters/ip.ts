import { counterTable, loss, maybe, noLoss, type Counter } from '../counter.ts';

/** What IPv4 and IPv6 call the same. */
const common = {
  InHdrErrors: loss(
    'Packets with a bad IP header, and packets that ran out of hops while forwarded.',
    'ip-header-errors',
    'ip-ttl-exceeded',
  ),
  InAddrErrors: maybe(
    'Packets for other hosts while this one does not forward, or for an address that cannot be.',
    'forwarding-disabled',
  ),
  InUnknownProtos: maybe(
    'Packets of an IP protocol nothing here handles (GRE, ESP, SCTP without its module).',
    'ip-unknown-proto',
  ),
  InDiscards: loss(
    'Packets dropped on receipt though nothing is wrong with them: no memory; IPv6: switched off on the interface.',
    'alloc-failure',
    'ipv6-disabled',
  ),
  OutDiscards: loss(
    'Packets of this host that could not be sent: a full queue, a firewall or BPF rule, a full neighbour table, the far end of a veth.',
    'qdisc-overlimit',
    'nf-rule-drop',
    'cgroup-bpf-egress',
    'neigh-table-overflow',
    'veth-peer',
  ),
  OutNoRoutes: loss(
    'Packets of this host without a route. The program gets an error; there is no drop event.',
    'no-route-out',
  ),
  ReasmTimeout: loss(
    'Datagrams given up because fragments were missing when the time was over.',
    'ip-frag-timeout',
  ),
  ReasmFails: loss(
    'Datagrams that could not be put together. More than ReasmTimeout: memory ran out, or fragments overlap.',
    'ip-frag-timeout',
    'ip-frag-memory',
  ),
  FragFails: maybe(
    'Packets too big for their way out that may not be fragmented. The sender is told.',
    'pmtu-blackhole',
  ),
} as const;

const icmp = {
  InErrors: maybe(
    'ICMP messages with errors, or of a kind that is ignored.',
    'icmp-noise',
    'ip-header-errors',
  ),
  InCsumErrors: loss('ICMP messages with a wrong checksum.', 'ip-header-errors'),
  OutErrors: maybe('ICMP messages that could not be sent.', 'icmp-ratelimit'),
  OutRateLimitHost: maybe(
    'ICMP messages not sent because one host gets too many. A sender may miss "packet too big".',
    'icmp-ratelimit',
  ),
  InDestUnreachs: maybe(
    'Somebody could not deliver a packet of ours: port closed, host or network unreachable, or too big.',
    'pmtu-blackhole',
    'no-socket-udp',
  ),
  OutDestUnreachs: maybe(
    'We told a sender that a packet could not be delivered: port closed, no route, next hop silent, firewall reject.',
    'no-socket-udp',
    'neigh-unresolved',
    'no-route-in',
    'nf-rule-drop',
  ),
  InTimeExcds: maybe(
    'A packet of ours ran out of hops or its fragments did not arrive.',
    'ip-ttl-exceeded',
    'ip-frag-timeout',
  ),
  OutTimeExcds: maybe(
    'We told a sender that its packet ran out of hops, or that fragments were missing.',
    'ip-ttl-exceeded',
    'ip-frag-timeout',
  ),
} as const;

/** RFC 1213, RFC 4293; net/ipv4/proc.c, net/ipv6/proc.c; Documentation/networking/snmp_counter.rst. */
export const ipCounters: readonly Counter[] = [
  ...counterTable('Ip', common),
  ...counterTable('IpExt', {
    InNoRoutes: loss('Packets to be forwarded for which there is no route.', 'no-route-in'),
    InTruncatedPkts: loss('Packets shorter than their IP header says.', 'ip-header-errors'),
    InCsumErrors: loss('Packets with a wrong IP header checksum.', 'ip-header-errors'),
    ReasmOverlaps: loss('Fragments that overlap others.', 'ip-frag-timeout'),
    InCEPkts: noLoss(
      'Packets that a router marked instead of dropping them: congestion on the way.',
      'remote-loss',
    ),
  }),
  ...counterTable('Ip6', {
    ...common,
    InTooBigErrors: maybe('Packets too big to be forwarded. The sender is told.', 'pmtu-blackhole'),
    InNoRoutes: maybe(
      'Packets for which there is no route, or for other hosts while this one does not forward.',
      'no-route-in',
      'forwarding-disabled',
    ),
    InTruncatedPkts: loss('Packets shorter than their IPv6 header says.', 'ip-header-errors'),
  }),
  ...counterTable('Icmp', {
    ...icmp,
    OutRateLimitGlobal: maybe(
      'ICMP messages not sent because of icmp_msgs_per_sec. A sender may miss "fragmentation needed".',
      'icmp-ratelimit',
    ),
    InParmProbs: maybe('Somebody found a packet of ours malformed.', 'ip-header-errors'),
  }),
  ...counterTable('Icmp6', {
    ...icmp,
    InPktTooBigs: noLoss(
      'A router told us to send smaller packets: path MTU discovery at work.',
      'pmtu-blackhole',
    ),
    OutPktTooBigs: noLoss('We told a sender to send smaller packets.', 'pmtu-blackhole'),
    InParmProblems: maybe('Somebody found a packet of ours malformed.', 'ip-header-errors'),
    OutParmProblems: maybe('We told a sender that its packet is malformed.', 'ip-header-errors'),
  }),
];
