import drops from '../../checks/drops.ts';
import lookups from '../../checks/lookups.ts';
import routes from '../../checks/routes.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule, type CauseFinding, type Claim } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { areStray, dropsOf, sentPackets, strays } from './evidence.ts';
import { lookupsFor, refusedBy, withoutDefault } from './route-evidence.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const COUNTERS = ['Ip.OutNoRoutes', 'Ip6.OutNoRoutes'];
const LOCATIONS = ['__ip_queue_xmit', 'ip_queue_xmit'];

export default defineRule({
  id: 'no-route-out',
  title: 'Programs send to addresses this host has no route to',
  needs: { snmp },
  wants: { drops, routes, lookups },
  // Not of a link that is down: the kernel keeps routes there, or nothing would be sent to it.
  consequenceOf: ['nic-link-flap'],
  reviewed: '2026-11-22',
  explain: {
    see: 'Programs say "Network is unreachable" (ENETUNREACH); `Ip OutNoRoutes` or `Ip6 OutNoRoutes` rises.',
    kernel:
      'The look-up for a packet of a local program finds nothing (`ip_route_output_key_hash_rcu`, net/ipv4/route.c); the program gets the error, and there is no drop event, because there is no packet yet. Only the route of an open connection that goes away makes one: `IP_OUTNOROUTES` at `__ip_queue_xmit`.',
    confirm:
      '`ip route get DESTINATION`; `ip route show default`; `ip rule`; `nstat -az IpOutNoRoutes Ip6OutNoRoutes`.',
    fix: 'Add the route or the default route: `ip route add default via GATEWAY dev INTERFACE`, and where your system keeps its routes. Look first whether the interface is up: its routes go with it.',
    normal:
      'On a host without IPv6 to the outside, programs try IPv6 first and go on with IPv4: `Ip6 OutNoRoutes` rises and nothing is lost. Hosts without a default route on purpose.',
    references: ['net/ipv4/route.c ip_route_output_key_hash_rcu (Linux 6.18)'],
  },
  judge({ snmp, drops, routes, lookups }, window) {
    const ipv4 = rises(snmp, ['Ip.OutNoRoutes']);
    const ipv6 = rises(snmp, ['Ip6.OutNoRoutes']);
    const packets = ipv4 + ipv6;
    const claims: readonly Claim[] = [
      { reason: 'IP_OUTNOROUTES', packets },
      withoutReasons({ location: LOCATIONS, packets }),
    ];
    if (areStray(packets, window)) {
      return strays(
        'A few packets of programs that tried an address without a route.',
        claims,
        window,
      );
    }
    const sent = sentPackets(snmp);
    const events = dropsOf(drops, { reasons: ['IP_OUTNOROUTES'] });
    const finding: CauseFinding = {
      kind: 'cause',
      confidence: 'certain',
      packets,
      traffic: { packets: sent.packets + packets, what: 'IP packets sent, or tried' },
      // Programs that try IPv6 where there is none go on with IPv4.
      severityAtMost: areStray(ipv4, window) ? 'notice' : 'warning',
      scope: {},
      because: [
        ...observedRises(snmp, COUNTERS, 'packets of programs without a route'),
        ...withoutDefault(routes?.last, ipv4 > 0, ipv6 > 0),
        ...refusedBy(lookupsFor(lookups, events), lookups).because,
      ],
      means: areStray(ipv4, window)
        ? 'Programs try IPv6 addresses, and this host has no route to them. Most programs go on with IPv4 and lose nothing but time.'
        : 'Programs of this host send to addresses it has no route to, and get an error: a route or the default route is missing, or went away with its interface.',
      rulesOut: [],
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
              text: 'ip route get DESTINATION shows what is missing. Then: ip route add default via GATEWAY dev INTERFACE, or the route to that network. Look first whether its interface is up (ip link).',
            },
          ],
        },
      ],
      claims,
      ...(events.length > 0 ? {} : { beforeEvents: true }),
    };
    return [finding];
  },
});
