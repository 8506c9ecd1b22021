import { defineStray } from './stray.ts';

export default defineStray({
  id: 'ip-ttl-exceeded',
  title: 'Packets run out of hops on this router',
  reviewed: '2026-11-22',
  text: 'A few packets whose hops ended here, as traceroute sends them. The sender is told by ICMP.',
  reason: 'IP_INHDR',
  locations: ['ip_forward', 'ip6_forward'],
  explain: {
    see: '`Ip InHdrErrors` and `Icmp OutTimeExcds` rise on a router.',
    kernel:
      '`ip_forward` (net/ipv4/ip_forward.c) drops a packet whose TTL is used up, with the reason `IP_INHDR`, and tells the sender by ICMP.',
    confirm:
      '`mtr DESTINATION`: if two routers take turns, there is a routing loop. `nstat -az IcmpOutTimeExcds`.',
    fix: 'For a loop: correct the routes of the routers that send the packet to each other.',
    normal: 'A few a second, from traceroute and mtr.',
    references: ['net/ipv4/ip_forward.c ip_forward (Linux 6.18)'],
  },
});
