import { defineStray } from './stray.ts';

export default defineStray({
  id: 'no-route-in',
  title: 'A router has no route to the destination',
  reviewed: '2026-11-22',
  text: 'A few packets to addresses this host has no route to, among them IPv6 packets while an interface comes up.',
  reason: 'IP_INNOROUTES',
  locations: ['ip_error', 'ip6_pkt_discard', 'ip6_pkt_drop'],
  explain: {
    see: 'Senders get ICMP "network unreachable"; `IpExt InNoRoutes` or `Ip6 InNoRoutes` rises.',
    kernel:
      'A packet to be forwarded for which the routing table has no entry gets the reason `IP_INNOROUTES`, in `ip_error` (net/ipv4/route.c) or `ip6_pkt_discard` (net/ipv6/route.c). An IPv6 host that does not forward says the same of packets for others.',
    confirm: '`ip route get DESTINATION from SOURCE iif INTERFACE`; `nstat -az IpExtInNoRoutes`.',
    fix: 'If the destination exists: add the route, or the default route.',
    normal: 'Scans of unused addresses, and the first second of an interface.',
    references: [
      'net/ipv4/route.c ip_error (Linux 6.18)',
      'net/ipv6/route.c ip6_pkt_drop (Linux 6.18)',
    ],
  },
});
