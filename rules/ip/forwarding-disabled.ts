import { defineStray } from './stray.ts';

export default defineStray({
  id: 'forwarding-disabled',
  title: 'Packets for other hosts reach one that does not forward',
  reviewed: '2026-11-22',
  text: 'A few packets for other hosts; this one is no router and drops them.',
  reason: 'IP_INADDRERRORS',
  locations: ['ip_error'],
  explain: {
    see: 'Containers, virtual machines or VPN clients behind this host do not reach the outside; `Ip InAddrErrors` rises.',
    kernel:
      'A packet that is for another host, on an interface that does not forward, gets the reason `IP_INADDRERRORS` in `ip_error` (net/ipv4/route.c).',
    confirm:
      '`sysctl net.ipv4.ip_forward net.ipv4.conf.INTERFACE.forwarding`; `nstat -az IpInAddrErrors`.',
    fix: 'Only if this host is meant to be a router: `sysctl -w net.ipv4.ip_forward=1`. It then passes packets on between all its networks; have a firewall in place.',
    normal:
      'On a host that is no router: a few stray packets, from a wrong route or an old ARP entry.',
    references: ['net/ipv4/route.c ip_error (Linux 6.18)'],
  },
});
