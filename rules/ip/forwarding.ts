import type { Sysctl } from '../../checks/sysctl.ts';

/** Whether this host passes IPv6 packets on. Unknown settings count as a router: then it is no excuse. */
export function forwardsIpv6(sysctl: Sysctl | undefined): boolean {
  return sysctl?.number('net.ipv6.conf.all.forwarding') !== 0;
}

/** Where packets end for which there is no way. */
export const IPV6_DISCARD = ['ip6_pkt_discard', 'ip6_pkt_drop', 'ip6_pkt_prohibit'];
