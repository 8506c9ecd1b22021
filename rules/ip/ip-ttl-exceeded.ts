import drops from '../../checks/drops.ts';
import lookups, { type Lookup } from '../../checks/lookups.ts';
import snmp from '../../checks/snmp.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type Claim, type Observation } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { areStray, dropsOf, receivedPackets, strays } from './evidence.ts';
import { FORWARD, splitHeaderErrors } from './header-errors.ts';
import { areProbes } from './hop-probes.ts';
import { lookupsFor } from './route-evidence.ts';
import { observedRises } from '../protocol-counters.ts';

export default defineRule({
  id: 'ip-ttl-exceeded',
  title: 'Packets run out of hops on this router',
  needs: { snmp },
  wants: { drops, lookups },
  reviewed: '2026-11-22',
  explain: {
    see: '`Ip InHdrErrors` and `Icmp OutTimeExcds` rise on a router. Some destinations cannot be reached, and links carry far more than is sent.',
    kernel:
      '`ip_forward` (net/ipv4/ip_forward.c) drops a packet whose TTL is used up, with the reason `IP_INHDR`, counts it in `Ip InHdrErrors`, and tells the sender by ICMP, not more than once a second each. `ip6_forward` does the same for IPv6.',
    confirm:
      '`mtr DESTINATION`: if two routers take turns, there is a routing loop. `ip route get DESTINATION from SOURCE iif INTERFACE`: the next hop must not be the neighbour the packet came from.',
    fix: 'Correct the routes of the routers that send the packet to each other. A default route that points back for an address range of one’s own needs a blackhole route for that range.',
    normal:
      'A few a second, from traceroute and mtr. A monitoring system that looks at many ways through a router makes more: pings, or packets for the UDP ports of traceroute.',
    references: [
      'net/ipv4/ip_forward.c ip_forward (Linux 6.18)',
      'net/ipv6/ip6_output.c ip6_forward (Linux 6.18)',
    ],
  },
  judge({ snmp, drops, lookups }, window) {
    const expired = splitHeaderErrors(snmp, drops);
    const packets = expired.reduce((sum, version) => sum + version.expired, 0);
    const claims = expired.flatMap(({ protocol, expired }): Claim[] => [
      { reason: 'IP_INHDR', location: FORWARD, protocol, packets: expired },
      withoutReasons({ location: FORWARD, protocol: [protocol], packets: expired }),
    ]);
    if (areStray(packets, window)) {
      return strays(
        'A few packets whose hops ended here, as traceroute sends them. The sender is told by ICMP.',
        claims,
        window,
      );
    }
    const events = dropsOf(drops, { reasons: ['IP_INHDR', null], locations: FORWARD });
    const back = lookupsFor(lookups, events).flatMap(goesBack);
    const isProbing = back.length === 0 && areProbes(events, window);
    return [
      {
        kind: 'cause',
        confidence: 'likely',
        packets,
        traffic: receivedPackets(snmp),
        severityAtMost: isProbing ? 'notice' : 'warning',
        scope: {},
        because: [
          ...observedRises(
            snmp,
            ['Ip.InHdrErrors', 'Ip6.InHdrErrors'],
            'packets with used-up hops or a bad header',
          ),
          ...observedRises(
            snmp,
            ['Icmp.OutTimeExcds', 'Icmp6.OutTimeExcds'],
            'senders told (the kernel limits these answers)',
          ),
          ...back,
        ],
        means: isProbing
          ? 'All that is known of these packets looks like traceroute and mtr: pings, or packets for the UDP ports of traceroute, whose hops are meant to end here.'
          : `More packets run out of hops here than traceroute makes${
              back.length > 0
                ? ', and this host sends them back to where they came from: probably a routing loop between it and the router there.'
                : ': two or more routers probably send them to each other in a circle.'
            }`,
        rulesOut: [
          {
            id: 'ip-header-errors',
            because:
              drops === undefined
                ? 'the senders were told that the hops were used up'
                : 'these packets were dropped where packets are forwarded; their headers were good',
          },
        ],
        fixes: isProbing ? [] : [breakTheLoop],
        claims,
      },
    ];
  },
});

const breakTheLoop: Fix = {
  id: 'break-the-loop',
  title: 'Correct the routes that make the circle',
  risk: 'disruptive',
  cost: 'a wrong route misdirects traffic',
  takesEffect: 'at-once',
  steps: [
    {
      kind: 'manual',
      text: 'mtr DESTINATION shows the routers of the circle. Give one of them the right next hop, or a blackhole route (ip route add blackhole NETWORK) for a range that nobody behind it uses.',
    },
  ],
};

/** A circle of two: the next hop is a router on the interface by which they come in. */
function goesBack({
  command,
  destination,
  interface: from,
  answer,
}: Lookup): readonly Observation[] {
  if (answer.kind !== 'route' || answer.device !== from || answer.gateway === undefined) return [];
  const text = `the way on to ${destination} is ${answer.gateway} on ${from}, the interface these packets came in by`;
  return [{ source: command, text }];
}
