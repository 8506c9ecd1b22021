import drops from '../../checks/drops.ts';
import lookups from '../../checks/lookups.ts';
import routes from '../../checks/routes.ts';
import snmp from '../../checks/snmp.ts';
import { EtherType, type DropCount } from '../../src/model/drops.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import {
  areStray,
  diedHere,
  dropsOf,
  knownByDrops,
  receivedPackets,
  seen,
  strays,
} from './evidence.ts';
import { lookupsFor, refusedBy, refusingText } from './route-evidence.ts';
import { rises } from '../protocol-counters.ts';

/** IPv4: all three kinds, when forwarded. IPv6: blackholes only. */
const LOCATIONS = ['ip_error', 'dst_discard', 'dst_discard_out'];
const REASONS = ['NOT_SPECIFIED', 'BLACKHOLE', null];

export default defineRule({
  id: 'blackhole-route',
  title: 'A route or rule says to drop packets',
  needs: { drops, snmp },
  wants: { routes, lookups },
  reviewed: '2026-11-22',
  explain: {
    see: 'One destination cannot be reached through this host; no counter of nstat moves. Programs of the host itself get "Invalid argument" (blackhole), "No route to host" (unreachable) or "Permission denied" (prohibit).',
    kernel:
      'Routes and policy rules of the types blackhole, unreachable and prohibit make the look-up fail on purpose. Packets to be forwarded end in `ip_error` (net/ipv4/route.c) without a reason: no counter, and for a blackhole no ICMP either. IPv6 blackholes end in `dst_discard` (net/core/dst.c); its unreachable and prohibit routes count as `Ip6 InNoRoutes`. What a local program sends makes no drop event at all.',
    confirm:
      '`ip route get DESTINATION from SOURCE iif INTERFACE`; `ip route show table all type blackhole`, and the same for `unreachable` and `prohibit`; `ip rule`.',
    fix: 'If the destination should be reached: `ip route del TYPE DESTINATION`, or the rule with `ip rule del`, and whoever made it: routing daemon, fail2ban, a VPN’s kill switch.',
    normal: 'Aggregates of BGP routers, bans, and kill switches of VPNs are blackholes on purpose.',
    references: [
      'net/ipv4/route.c ip_error (Linux 6.18)',
      'net/core/dst.c dst_discard_out (Linux 6.18)',
    ],
  },
  judge({ drops, snmp, routes, lookups }, window) {
    const events = dropsOf(drops, { reasons: REASONS, locations: LOCATIONS }).filter(
      ({ protocol }) => protocol === EtherType.IPv4 || protocol === EtherType.IPv6,
    );
    // Without reasons that function stands for forwarding that is off and missing routes as well; these count.
    const others = drops.hasReasons ? 0 : rises(snmp, ['Ip.InAddrErrors', 'IpExt.InNoRoutes']);
    const packets = Math.max(0, diedHere(events, snmp, window) - others);
    const claims = REASONS.map((reason): Claim => ({ reason, location: LOCATIONS, packets }));
    if (areStray(packets, window)) {
      return strays('A few packets that a route or rule says to drop.', claims, window);
    }
    const { refuser, sure, because } = refusedBy(lookupsFor(lookups, events), lookups);
    return [
      {
        kind: 'cause',
        confidence: sure ? 'certain' : window.severalNetns ? 'possible' : 'likely',
        packets,
        traffic: receivedPackets(snmp),
        // Somebody put it there.
        severityAtMost: knownByDrops(window).most,
        scope: refuser === undefined ? {} : { rule: refuser.text },
        because: [
          ...seen(packets, 'where the routing table refuses a packet to be forwarded'),
          ...(because.length > 0
            ? because
            : familiesOf(events).flatMap((family) => refusingText(routes?.last, family))),
        ],
        means:
          refuser === undefined
            ? 'Routes or policy rules of the type blackhole, unreachable or prohibit say to drop these packets. It is a fault only if the destination should be reached.'
            : `The ${refuser.kind} "${refuser.text}" ${sure ? '' : 'probably '}says to drop these packets. It is a fault only if the destination should be reached.`,
        rulesOut: [
          {
            id: 'no-route-in',
            because: 'a missing route counts in IpExt InNoRoutes; this does not',
          },
          {
            id: 'forwarding-disabled',
            because: 'forwarding that is off counts in Ip InAddrErrors; this does not',
          },
        ],
        fixes: [
          {
            id: 'delete-route',
            title: 'Delete the route or rule, if the destination should be reached',
            risk: 'disruptive',
            cost: 'packets flow again that somebody wanted stopped',
            takesEffect: 'at-once',
            steps: [
              refuser?.kind === 'route' && sure
                ? {
                    kind: 'command',
                    argv: ['ip', `-${refuser.family}`, 'route', 'del', ...refuser.text.split(' ')],
                    why: 'this route refuses the packets',
                  }
                : {
                    kind: 'manual',
                    text: 'ip route get DESTINATION from SOURCE iif INTERFACE names the route; ip route del TYPE DESTINATION deletes it. For a rule: ip rule, then ip rule del. Then correct whoever made it.',
                  },
            ],
          },
        ],
        claims,
      },
    ];
  },
});

function familiesOf(events: readonly DropCount[]): readonly (4 | 6)[] {
  return ([4, 6] as const).filter((family) =>
    events.some(({ protocol }) => protocol === (family === 4 ? EtherType.IPv4 : EtherType.IPv6)),
  );
}
