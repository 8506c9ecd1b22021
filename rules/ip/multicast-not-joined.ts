import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { rise } from '../../src/model/counter.ts';
import { EtherType, packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { unspecified, withoutReasons } from '../benign.ts';
import { isToGroup } from '../to-groups.ts';
import { dropsOf, interfaceOf } from './evidence.ts';

/** Groups that nobody joined, and memberships of others (IGMP, MLD). */
const NOT_JOINED = [
  'ip6_mc_input',
  'igmp_rcv',
  'igmp6_event_query',
  'igmp6_event_report',
  'mld_query_work',
  'mld_report_work',
];
const NO_LISTENER = [
  '__udp4_lib_rcv',
  '__udp6_lib_rcv',
  '__udp4_lib_mcast_deliver',
  '__udp6_lib_mcast_deliver',
];

/** Of IPv4 groups. Before 6.14 that is where packets with an impossible or a stolen address end as well. */
const NO_ROUTE = {
  reason: 'NOT_SPECIFIED',
  location: 'ip_rcv_finish_core',
  protocol: EtherType.IPv4,
} as const;

export default defineRule({
  id: 'multicast-not-joined',
  title: 'Multicast and broadcast that nobody here asked for',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A steady trickle of drop events on any network with desktops, printers and televisions. Nothing is missing.',
    kernel:
      'Multicast reaches every host of a network. A packet for a group that nobody joined is freed without a reason and without a counter: `ip_rcv_finish_core` (net/ipv4/ip_input.c), `ip6_mc_input` (net/ipv6/ip6_input.c). If the group (or broadcast) is received, but no program listens on the port, it is freed in `__udp4_lib_rcv` and counts in `Udp IgnoredMulti`.',
    confirm:
      '`ip maddr` lists the groups joined; `nstat -az UdpIgnoredMulti`; `tcpdump -ni any multicast`.',
    fix: 'None, unless a program here should receive it: then it must join the group on the right interface. The reverse-path filter and IGMP snooping without a querier are other reasons why multicast is lost.',
    normal: 'mDNS, SSDP, DHCP requests of others, and routing protocols: always.',
    references: [
      'net/ipv4/ip_input.c ip_rcv_finish_core (Linux 6.18)',
      'net/ipv6/ip6_input.c ip6_mc_input (Linux 6.18)',
      'net/ipv4/udp.c __udp4_lib_mcast_deliver (Linux 6.18)',
    ],
  },
  judge({ snmp: { first, last }, drops }) {
    const ignored = ['Udp.IgnoredMulti', 'Udp6.IgnoredMulti'].reduce(
      (sum, name) => sum + rise(first.counters.get(name), last.counters.get(name)),
      0,
    );
    return [
      {
        kind: 'benign',
        text: 'Multicast and broadcast that no program here asked for (mDNS, SSDP, routing protocols).',
        claims: [
          ...unspecified({ location: NOT_JOINED }),
          // Without reasons that is where the reverse-path filter drops as well: not claimed.
          ...withoutRoute(drops),
          { reason: 'NOT_SPECIFIED', location: NO_LISTENER },
          // Without reasons, closed ports and bad checksums end there as well.
          withoutReasons({ location: NO_LISTENER, packets: ignored }),
        ],
      },
    ];
  },
});

/** Only what was for groups, where the capture tells whom packets were for. */
function withoutRoute(capture: DropCapture | undefined): readonly Claim[] {
  const { reason, location, protocol } = NO_ROUTE;
  const drops = dropsOf(capture, { reasons: [reason], locations: [location], protocol });
  if (drops.every(({ details }) => details === undefined)) return [NO_ROUTE];
  return drops.map((drop) => {
    const toOne = packetsOf((drop.details?.topFlows ?? []).filter((flow) => !isToGroup(flow)));
    return { ...NO_ROUTE, ...interfaceOf(drop), packets: Math.max(0, drop.packets - toOne) };
  });
}
