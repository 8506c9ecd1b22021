import drops from '../../checks/drops.ts';
import firewall, { type Firewall } from '../../checks/firewall.ts';
import link, { type Links } from '../../checks/link.ts';
import snmp from '../../checks/snmp.ts';
import sysctl, { type Sysctl } from '../../checks/sysctl.ts';
import { EtherType } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { interfaceKey } from '../../src/model/sysctl-key.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { withoutReasons } from '../benign.ts';
import { areStray, receivedPackets, strays } from './evidence.ts';
import { forwardsIpv6, IPV6_DISCARD } from './forwarding.ts';
import { observedRises, rises } from '../protocol-counters.ts';

/** Interfaces that machines or networks behind this host hang on. */
const KINDS_OF_ROUTERS: ReadonlySet<string> = new Set(['bridge', 'tun', 'wireguard', 'ppp']);
/** More interfaces than these are not named. */
const NAMED_INTERFACES = 3;

const FORWARD_KEY = 'net.ipv4.ip_forward';
const FORWARD6_KEY = 'net.ipv6.conf.all.forwarding';
const EXPECT = { change: 'stops-rising', traffic: 'snmp Ip.InReceives' } as const;

export default defineRule({
  id: 'forwarding-disabled',
  title: 'Packets for other hosts reach one that does not forward',
  needs: { snmp, sysctl },
  wants: { drops, link, firewall },
  reviewed: '2026-11-22',
  explain: {
    see: 'Containers, virtual machines or VPN clients behind this host do not reach the outside, often since a `sysctl` reload; `Ip InAddrErrors` rises.',
    kernel:
      'A packet that is for another host, on an interface that does not forward, gets the reason `IP_INADDRERRORS` in `ip_error` (net/ipv4/route.c) and counts in `Ip InAddrErrors`. IPv6 drops it in `ip6_forward` (`Ip6 InAddrErrors`), or, where there is no route either, in `ip6_pkt_discard` (`IP_INNOROUTES`, `Ip6 InNoRoutes`).',
    confirm:
      '`sysctl net.ipv4.ip_forward net.ipv4.conf.INTERFACE.forwarding net.ipv6.conf.all.forwarding`; `nstat -az IpInAddrErrors Ip6InAddrErrors`.',
    fix: 'Only if this host is meant to be a router: `sysctl -w net.ipv4.ip_forward=1`, for IPv6 `sysctl -w net.ipv6.conf.all.forwarding=1` (which stops the host from taking router advertisements, unless `accept_ra` is 2). It then passes packets on between all its networks; have a firewall in place.',
    normal:
      'On a host that is no router: stray packets, from a wrong route, an old ARP entry, or the standby of a router pair.',
    references: [
      'net/ipv4/route.c ip_error (Linux 6.18)',
      'net/ipv6/ip6_output.c ip6_forward (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, ip_forward',
    ],
  },
  judge({ snmp, sysctl, link, firewall }, window) {
    const settings = sysctl.last;
    const ipv4 = rises(snmp, ['Ip.InAddrErrors']);
    const refused6 = rises(snmp, ['Ip6.InAddrErrors']);
    // A router says of these that it has no route.
    const routeless6 = forwardsIpv6(settings) ? 0 : rises(snmp, ['Ip6.InNoRoutes']);
    const packets = ipv4 + refused6 + routeless6;
    const claims: readonly Claim[] = [
      { reason: 'IP_INADDRERRORS', protocol: EtherType.IPv4, packets: ipv4 },
      { reason: 'IP_INADDRERRORS', protocol: EtherType.IPv6, packets: refused6 },
      { reason: 'IP_INNOROUTES', location: IPV6_DISCARD, packets: routeless6 },
      // Before 6.4 ip6_forward told no reason.
      { reason: 'NOT_SPECIFIED', location: 'ip6_forward', packets: refused6 },
      withoutReasons({ location: ['ip_error'], packets: ipv4 }),
      withoutReasons({ location: ['ip6_forward'], packets: refused6 }),
      withoutReasons({ location: IPV6_DISCARD, packets: routeless6 }),
    ];
    if (areStray(packets, window)) {
      return strays(
        'A few packets for other hosts; this one is no router and drops them.',
        claims,
        window,
      );
    }
    const signs = signsOfRouter(settings, link?.last, firewall?.last);
    const isRouter = signs.length > 0;
    return [
      {
        kind: 'cause',
        confidence: isRouter ? 'likely' : 'possible',
        packets,
        traffic: receivedPackets(snmp),
        severityAtMost: isRouter ? 'warning' : 'notice',
        scope: {},
        because: [
          ...observedRises(
            snmp,
            ['Ip.InAddrErrors', 'Ip6.InAddrErrors', ...(routeless6 > 0 ? ['Ip6.InNoRoutes'] : [])],
            'packets for other hosts, not forwarded',
          ),
          ...[FORWARD_KEY, FORWARD6_KEY].flatMap((key) => {
            const value = settings.text(key);
            return value === undefined ? [] : [{ source: key, text: `is ${value}`, last: value }];
          }),
          ...signs.map((text) => ({ source: 'this host looks like a router', text })),
        ],
        means: isRouter
          ? 'Machines behind this host send their packets through it, and it does not forward them.'
          : 'Packets for other hosts come here, and this host is no router: a wrong route or an old ARP entry on another machine sends them. It is a fault of this host only if it should be a router.',
        rulesOut: [
          {
            id: 'no-route-in',
            because: 'without forwarding the routing table was not the reason',
          },
        ],
        fixes: isRouter ? fixesFor(settings, ipv4, refused6 + routeless6) : [],
        claims,
      },
    ];
  },
});

/** Why somebody may have meant this host to pass packets on. */
function signsOfRouter(
  settings: Sysctl,
  links: Links | undefined,
  firewall: Firewall | undefined,
): readonly string[] {
  const inside = [...(links?.interfaces ?? [])].filter(([, { kind }]) =>
    KINDS_OF_ROUTERS.has(kind ?? ''),
  );
  const nat = firewall?.rules.filter(({ text }) => /\b(masquerade|snat)\b/i.test(text)) ?? [];
  const some = notForwarding(settings);
  return [
    ...inside.slice(0, NAMED_INTERFACES).map(([name, { kind }]) => `${name} is a ${kind}`),
    ...(nat.length === 0
      ? []
      : [`${nat.length} firewall rules replace the source address of others (NAT)`]),
    ...(settings.number(FORWARD_KEY) === 1 && some.length > 0
      ? [`${FORWARD_KEY} is 1, but not on ${some.slice(0, NAMED_INTERFACES).join(', ')}`]
      : []),
  ];
}

/** Interfaces that do not forward IPv4. */
function notForwarding(settings: Sysctl): readonly string[] {
  return [...settings.values]
    .map(([key, value]) => (value === '0' ? key : ''))
    .map((key) => /^net\.ipv4\.conf\.([^.]+)\.forwarding$/.exec(key)?.[1]?.replaceAll('/', '.'))
    .filter((name) => name !== undefined)
    .filter((name) => !['all', 'default', 'lo'].includes(name));
}

function fixesFor(settings: Sysctl, ipv4: number, ipv6: number): readonly Fix[] {
  const fixes: Fix[] = [];
  const common = {
    risk: 'caution',
    takesEffect: 'at-once',
    cost: 'it passes packets on between all its networks: have a firewall in place',
  } as const;
  if (ipv4 > 0 && settings.number(FORWARD_KEY) === 0) {
    fixes.push({
      ...common,
      id: 'forward-ipv4',
      title: 'Let this host forward IPv4 packets',
      steps: [sysctlStep(FORWARD_KEY, 0, 1)],
      expect: { ...EXPECT, counter: 'snmp Ip.InAddrErrors' },
    });
  } else if (ipv4 > 0) {
    for (const name of notForwarding(settings).slice(0, NAMED_INTERFACES)) {
      const key = interfaceKey('net.ipv4.conf', name, 'forwarding');
      if (key === undefined) continue;
      fixes.push({
        ...common,
        id: `forward-ipv4-${name}`,
        title: `Forward IPv4 packets that come in by ${name}, as on the other interfaces`,
        steps: [sysctlStep(key, 0, 1)],
        expect: { ...EXPECT, counter: 'snmp Ip.InAddrErrors' },
      });
    }
  }
  if (ipv6 > 0 && !forwardsIpv6(settings)) {
    fixes.push({
      ...common,
      id: 'forward-ipv6',
      title: 'Let this host forward IPv6 packets',
      cost: `${common.cost}; router advertisements are then ignored unless accept_ra is 2, and with them a default route learned from one`,
      steps: [sysctlStep(FORWARD6_KEY, 0, 1)],
      expect: {
        change: 'stops-rising',
        counter: 'snmp Ip6.InNoRoutes',
        traffic: 'snmp Ip6.InReceives',
      },
    });
  }
  return fixes;
}
