import drops from '../../checks/drops.ts';
import link, { type Links } from '../../checks/link.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { EtherType, type DropCount } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import { etherTypeName, etherTypeNumber } from '../../src/model/ethertypes.ts';
import { defineRule, type CauseFinding, type Finding } from '../../src/model/rule.ts';
import { rxDroppedRises, rxDroppedTotal } from '../link-rises.ts';
import { chatter, modules } from './ethertypes.ts';

/** Where a frame without a handler is freed; inlined into its callers on some kernels, and named so in old ones. */
const LOCATIONS = [
  '__netif_receive_skb_core',
  '__netif_receive_skb_one_core',
  '__netif_receive_skb_list_core',
  '__netif_receive_skb',
  'netif_receive_skb',
];
/** STP, CDP and VTP come as 802.2 LLC frames and are freed, without a counter, here. */
const LLC_LOCATIONS = ['stp_pdu_rcv', 'snap_rcv', 'llc_rcv'];
/** More interfaces than these tell no more. */
const NAMED_INTERFACES = 3;

export default defineRule({
  id: 'l2-unhandled-proto',
  title: 'Frames of a protocol that nothing on this host handles',
  needs: { drops },
  wants: { link },
  reviewed: '2026-11-22',
  explain: {
    see: '`rx_dropped` of an interface creeps up slowly and steadily, while TCP and UDP work. The rise stops while tcpdump runs.',
    kernel:
      "`__netif_receive_skb_core` (net/core/dev.c) hands a frame to the handlers of its EtherType. If there is none, it is dropped with the reason `UNHANDLED_PROTO` and counted in the interface's `rx_dropped`. A capture on all protocols is a handler, so the counter stops while one runs.",
    confirm:
      '`tcpdump -eni INTERFACE not ip and not ip6 and not arp` shows the frames, their EtherType and who sends them.',
    fix: 'None is needed for LLDP, LACP, PTP and the like. To silence the counter, switch the protocol off on the switch port, or run its daemon (lldpd). If you expect the protocol to work here, load its module.',
    normal: 'Nearly always: switches announce themselves to every port.',
    references: [
      'net/core/dev.c __netif_receive_skb_core (Linux 6.18)',
      'Documentation/networking/statistics.rst, rx_dropped',
    ],
  },
  judge({ drops, link }, { severalNetns }) {
    // What a standby port of a bond refuses carries the same reason, whatever it is (rx_nohandler).
    const refused = portsThatRefuse(link);
    const unhandled = packetsByProtocol(
      drops.drops.filter(
        (drop) =>
          isUnhandled(drop) &&
          !(refused.size > 0 && isHandled(drop.protocol)) &&
          !refused.has(drop.details?.interface ?? ''),
      ),
    );
    const findings: Finding[] = [
      {
        kind: 'benign',
        text: 'STP, CDP or VTP frames of switches (802.2 LLC); this host does not take part in them.',
        claims: [{ location: LLC_LOCATIONS, protocol: EtherType.LLC }],
      },
    ];
    const chatty = [...unhandled.keys()].filter((protocol) => chatter.has(protocol));
    if (chatty.length > 0) findings.push(harmless(chatty));
    // Every such frame also raises rx_dropped of its interface: a bound where other namespaces are in view.
    let placeable = severalNetns ? rxDroppedTotal(link) : Infinity;
    for (const [protocol, packets] of unhandled) {
      const here = chatter.has(protocol) ? 0 : Math.min(packets, placeable);
      placeable -= here;
      if (here > 0) findings.push(cause(protocol, here, link));
    }
    return findings;
  },
});

function isUnhandled({ reason, location, protocol }: DropCount): boolean {
  if (!LOCATIONS.includes(location)) return false;
  if (reason !== null) return reason === 'UNHANDLED_PROTO';
  // Without reasons a tc-ingress drop looks the same, but carries IP.
  return !isHandled(protocol);
}

function isHandled(protocol: number): boolean {
  return [EtherType.IPv4, EtherType.IPv6, EtherType.ARP, EtherType.None].some(
    (known) => known === protocol,
  );
}

function portsThatRefuse(link: Sampled<Links> | undefined): ReadonlySet<string> {
  return new Set(
    [...(link?.last.interfaces ?? [])]
      .filter(
        ([name, now]) => rise(link?.first.interfaces.get(name)?.rxNoHandler, now.rxNoHandler) > 0,
      )
      .map(([name]) => name),
  );
}

/** The most frequent first. */
function packetsByProtocol(drops: readonly DropCount[]): ReadonlyMap<number, number> {
  const packets = new Map<number, number>();
  for (const drop of drops) {
    packets.set(drop.protocol, (packets.get(drop.protocol) ?? 0) + drop.packets);
  }
  return new Map([...packets].sort(([, a], [, b]) => b - a));
}

function harmless(protocols: readonly number[]): Finding {
  return {
    kind: 'benign',
    text: `Frames that neighbours send to everybody and this host has no use for: ${protocols.map(etherTypeName).join(', ')}. They count in rx_dropped.`,
    claims: protocols.flatMap((protocol) => claimsFor(protocol)),
  };
}

function cause(protocol: number, packets: number, link: Sampled<Links> | undefined): CauseFinding {
  const [name, number] = [etherTypeName(protocol), etherTypeNumber(protocol)];
  const what = name === number ? number : `${name} (${number})`;
  const handler = modules.get(protocol);
  const rising = rxDroppedRises(link);
  return {
    kind: 'cause',
    confidence: 'certain',
    packets,
    // Nobody asked for these frames; whether anybody should is for the administrator to say.
    severityAtMost: 'notice',
    // With several, nothing tells by which one the frames came in.
    scope: rising.length === 1 && rising[0] !== undefined ? { interface: rising[0].name } : {},
    because: [
      {
        source: 'skb:kfree_skb',
        text: `${packets} frames of ${what} had no handler (UNHANDLED_PROTO)`,
      },
      ...rising.slice(0, NAMED_INTERFACES).map(({ name, first, last }) => ({
        source: `/sys/class/net/${name}/statistics/rx_dropped`,
        text: 'such frames raise this counter',
        first: String(first),
        last: String(last),
      })),
    ],
    means: `Frames of ${what} arrive, and nothing on this host handles that protocol. It matters only if something here should.`,
    rulesOut: [
      {
        id: 'nic-rx-ring',
        because: 'the frames passed the NIC; they died for want of a protocol handler',
      },
    ],
    fixes: handler === undefined ? [] : [loadModule(name, handler)],
    claims: claimsFor(protocol, packets),
  };
}

function claimsFor(protocol: number, packets?: number): CauseFinding['claims'] {
  const limit = packets === undefined ? {} : { packets };
  return [
    { reason: 'UNHANDLED_PROTO', location: LOCATIONS, protocol, ...limit },
    { reason: null, location: LOCATIONS, protocol, ...limit },
  ];
}

function loadModule(name: string, module: string): Fix {
  return {
    id: 'load-module',
    title: `If ${name} should work on this host, load its handler`,
    risk: 'caution',
    cost: 'the host starts to take part in that protocol',
    takesEffect: 'at-once',
    steps: [
      { kind: 'command', argv: ['modprobe', module], why: `registers the handler of ${name}` },
    ],
  };
}
