import { defineBenign, unspecified } from '../benign.ts';

export default defineBenign({
  id: 'icmp-noise',
  title: 'ICMP messages that nobody here waits for',
  reviewed: '2026-11-22',
  text: 'ICMP and neighbour discovery that asked for nothing here, or was answered by other means (a successful ping as root is one of them).',
  claims: [
    // Debian's 6.12.117 frees them where it came from.
    { reason: 'NO_SOCKET', location: ['ping_rcv', 'icmp_rcv', 'icmpv6_rcv'] },
    { reason: 'UNHANDLED_PROTO', location: ['icmp_rcv', 'icmpv6_rcv'] },
    { reason: ['INVALID_PROTO', 'IPV6_NDISC_NS_OTHERHOST'] },
    ...unspecified({
      location: ['ping_rcv', 'ping_queue_rcv_skb', 'icmp_rcv', 'icmpv6_rcv', 'ndisc_rcv'],
    }),
  ],
  explain: {
    see: 'Drop events while somebody pings, though every ping is answered.',
    kernel:
      'The kernel offers each echo reply to ping sockets as well; if the program uses a raw socket, as root does, none is found: `NO_SOCKET` at `ping_rcv` (net/ipv4/ping.c). Unknown types of ICMP are `UNHANDLED_PROTO` at `icmp_rcv`, broadcast pings `INVALID_PROTO` (net/ipv4/icmp.c), neighbour solicitations for others `IPV6_NDISC_NS_OTHERHOST` (net/ipv6/ndisc.c).',
    confirm: '`nstat -az IcmpInErrors Icmp6InErrors`; `tcpdump -ni any icmp or icmp6`.',
    fix: 'None is needed.',
    normal: 'Always.',
    references: [
      'net/ipv4/ping.c ping_rcv (Linux 6.18)',
      'net/ipv4/icmp.c icmp_rcv (Linux 6.18)',
      'net/ipv6/icmp.c icmpv6_rcv (Linux 6.18)',
    ],
  },
});
