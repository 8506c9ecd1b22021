import drops from '../../checks/drops.ts';
import lookups from '../../checks/lookups.ts';
import routes from '../../checks/routes.ts';
import snmp from '../../checks/snmp.ts';
import sysctl from '../../checks/sysctl.ts';
import { EtherType } from '../../src/model/drops.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { areStray, dropsOf, receivedPackets, strays } from './evidence.ts';
import { forwardsIpv6, IPV6_DISCARD } from './forwarding.ts';
import { lookupsFor, refusedBy, refusingText, withoutDefault } from './route-evidence.ts';
import { observedRises, rises } from '../protocol-counters.ts';

export default defineRule({
  id: 'no-route-in',
  title: 'A router has no route to the destination',
  needs: { snmp },
  wants: { drops, routes, sysctl, lookups },
  // Not of a link that is down: the kernel keeps routes there, or nothing would be sent to it.
  consequenceOf: ['nic-link-flap'],
  reviewed: '2026-11-22',
  explain: {
    see: 'Senders get ICMP "network unreachable"; `IpExt InNoRoutes` or `Ip6 InNoRoutes` rises.',
    kernel:
      'A packet to be forwarded for which the routing table has no entry gets the reason `IP_INNOROUTES`, in `ip_error` (net/ipv4/route.c) or `ip6_pkt_discard` (net/ipv6/route.c). IPv6 says the same of unreachable and prohibit routes. An IPv6 host that does not forward says so of packets for others; whydrop lays these at the door of `forwarding-disabled`.',
    confirm:
      '`ip route get DESTINATION from SOURCE iif INTERFACE`; `ip rule`; `nstat -az IpExtInNoRoutes Ip6InNoRoutes`.',
    fix: 'If the destination exists: add the route, or the default route (`ip route add DESTINATION via GATEWAY dev INTERFACE`, with `table` where a policy rule looks elsewhere), and where your system keeps its routes.',
    normal: 'Scans of unused addresses, and the first second of an interface.',
    references: [
      'net/ipv4/route.c ip_error (Linux 6.18)',
      'net/ipv6/route.c ip6_pkt_drop (Linux 6.18)',
    ],
  },
  judge({ snmp, drops, routes, sysctl, lookups }, window) {
    const ipv4 = rises(snmp, ['IpExt.InNoRoutes']);
    const ipv6 = forwardsIpv6(sysctl?.last) ? rises(snmp, ['Ip6.InNoRoutes']) : 0;
    const packets = ipv4 + ipv6;
    const claims: readonly Claim[] = [
      { reason: 'IP_INNOROUTES', protocol: EtherType.IPv4, packets: ipv4 },
      { reason: 'IP_INNOROUTES', protocol: EtherType.IPv6, packets: ipv6 },
      withoutReasons({ location: ['ip_error'], packets: ipv4 }),
      withoutReasons({ location: IPV6_DISCARD, packets: ipv6 }),
    ];
    if (areStray(packets, window)) {
      return strays(
        'A few packets to addresses this host has no route to, among them IPv6 packets while an interface comes up.',
        claims,
        window,
      );
    }
    const events = dropsOf(drops, { reasons: ['IP_INNOROUTES'] });
    const { refuser, because } = refusedBy(lookupsFor(lookups, events), lookups);
    const refusing6 = refusingText(routes?.last, 6);
    return [
      {
        kind: 'cause',
        confidence: ipv6 > 0 && refusing6.length > 0 ? 'likely' : 'certain',
        packets,
        traffic: receivedPackets(snmp),
        severityAtMost: 'warning',
        scope: refuser === undefined ? {} : { rule: refuser.text },
        because: [
          ...observedRises(
            snmp,
            ipv6 > 0 ? ['IpExt.InNoRoutes', 'Ip6.InNoRoutes'] : ['IpExt.InNoRoutes'],
            'packets to be forwarded, without a route',
          ),
          ...withoutDefault(routes?.last, ipv4 > 0, ipv6 > 0),
          ...(because.length > 0 ? because : ipv6 > 0 ? refusing6 : []),
        ],
        means:
          refuser === undefined
            ? 'Packets are to be forwarded to addresses the routing table has no answer for: a route is missing, or went away with its interface or routing daemon.'
            : `Packets are to be forwarded to addresses for which the ${refuser.kind} "${refuser.text}" says that there is no way. It is a fault only if they should be reached.`,
        rulesOut: [
          {
            id: 'forwarding-disabled',
            because: 'this host forwards; with forwarding off another counter rises',
          },
        ],
        fixes: [
          {
            id: 'add-route',
            title: 'Add the missing route',
            risk: 'disruptive',
            cost: 'a wrong route misdirects traffic',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'If the destination exists: ip route add DESTINATION via GATEWAY dev INTERFACE. If only scanners want it, a blackhole route saves the answers.',
              },
            ],
          },
        ],
        claims,
      },
    ];
  },
});
