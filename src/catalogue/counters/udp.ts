import { counterTable, loss, maybe, noLoss, type Counter } from '../counter.ts';

/** The same names for IPv4, IPv6 and UDP-Lite (net/ipv4/proc.c, net/ipv6/proc.c). */
const meanings = {
  NoPorts: maybe(
    'Datagrams for ports nobody listens on. Scans and late packets, unless a service should be there.',
    'no-socket-udp',
  ),
  InErrors: loss(
    'Datagrams not delivered: RcvbufErrors, InCsumErrors, MemErrors, and what a socket filter or IPsec refused.',
    'udp-rcvbuf-full',
    'udp-csum-error',
    'socket-filter-drop',
  ),
  RcvbufErrors: loss(
    'Datagrams dropped because the receive buffer of the socket was full.',
    'udp-rcvbuf-full',
  ),
  SndbufErrors: loss(
    'Datagrams that could not be sent. In spite of the name also for a full queue, a firewall rule or a full neighbour table.',
    'qdisc-overlimit',
    'udp-sndbuf',
    'nf-rule-drop',
    'tc-egress-drop',
    'neigh-table-overflow',
    'veth-peer',
  ),
  InCsumErrors: loss('Datagrams with a wrong checksum.', 'udp-csum-error', 'offload-checksum-bug'),
  IgnoredMulti: noLoss(
    'Multicast and broadcast datagrams that no socket here asked for.',
    'multicast-not-joined',
  ),
  MemErrors: loss(
    'Datagrams dropped because all UDP sockets together are at udp_mem. Does not rise on newer kernels (6.18).',
    'udp-mem-exhausted',
  ),
} as const;

export const udpCounters: readonly Counter[] = (
  ['Udp', 'Udp6', 'UdpLite', 'UdpLite6'] as const
).flatMap((group) => counterTable(group, meanings));
