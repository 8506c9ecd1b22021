import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import link from '../../checks/link.ts';
import lookups, { type Lookups } from '../../checks/lookups.ts';
import snmp from '../../checks/snmp.ts';
import { packetsOf, type DropCapture, type DropCount } from '../../src/model/drops.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { toldByLog } from '../kernel-messages.ts';
import {
  areStray,
  diedHere,
  dropsOf,
  interfaceOf,
  knownByDrops,
  receivedPackets,
  seen,
} from './evidence.ts';

const REASON = 'IP_LOCAL_SOURCE';
/** Where it is done before 6.14, without a reason. */
const UNNAMED = { reason: 'NOT_SPECIFIED', location: 'ip_rcv_finish_core' } as const;
const SOURCE_MAC = { from: 6, to: 12 };
const DUPLICATE =
  'Another machine already had the IPv6 address that this interface was to get, so the kernel does not use it here.';

export default defineRule({
  id: 'own-source-address',
  title: 'Packets arrive that carry an address of this host as their source',
  needs: { drops, snmp },
  wants: { link, kernelLog, lookups },
  reviewed: '2026-11-22',
  explain: {
    see: 'Connections to this host break now and then, or its own packets come back to it. The kernel log may say `martian source` with this host’s address.',
    kernel:
      '`fib_validate_source` (net/ipv4/fib_frontend.c) refuses a packet from outside whose source is an address of this host, unless `accept_local` is set: `IP_LOCAL_SOURCE` (6.14 and later; before, without a reason at `ip_rcv_finish_core`). No counter moves. Another host that only announces our address by ARP makes no drop at all.',
    confirm:
      '`arping -D -c 3 -I INTERFACE OWN-ADDRESS`: a reply means another host has the address. `tcpdump -eni INTERFACE src host OWN-ADDRESS` shows the hardware address: another one is a second host, our own is a loop.',
    fix: 'Second host: give it another address. Loop: find the cable, bridge or switch port that sends frames back. Only where the host talks to itself over two cables on purpose: `sysctl -w net.ipv4.conf.INTERFACE.accept_local=1`.',
    normal: 'One or two when a bridge or bond starts.',
    references: ['net/ipv4/fib_frontend.c __fib_validate_source (Linux 6.18)'],
  },
  judge({ drops, snmp, link, kernelLog, lookups }, window) {
    const named = dropsOf(drops, { reasons: [REASON] });
    const unnamed = fromOwnAddress(drops, lookups);
    const events = [...named, ...unnamed];
    const packets = diedHere(events, snmp, window);
    const duplicates =
      link === undefined
        ? []
        : toldByLog(kernelLog, 'duplicate-address', link.last, window, DUPLICATE);
    if (packets === 0) return duplicates;
    const senders = sendersOf(events);
    const own = new Set(
      [...(link?.last.interfaces.values() ?? [])].flatMap(({ address }) => address ?? []),
    );
    const others = senders.filter((address) => !own.has(address));
    const known = senders.length > 0 && own.size > 0;
    return [
      {
        kind: 'cause',
        confidence: window.severalNetns ? 'possible' : 'likely',
        packets,
        traffic: receivedPackets(snmp),
        severityAtMost: areStray(packets, window) ? 'notice' : knownByDrops(window).most,
        scope: {},
        because: [
          ...(unnamed.length === 0
            ? seen(packets, `with the reason ${REASON}`)
            : seen(packets, 'of packets from an address of this host, says ip route get SOURCE')),
          ...(known
            ? [
                {
                  source: 'skb:kfree_skb',
                  text:
                    others.length > 0
                      ? `they come from the hardware address ${others.join(', ')}, which is not of this host`
                      : 'they carry the hardware address of this host itself',
                },
              ]
            : []),
        ],
        means: !known
          ? 'Another host uses an address of this one, or its own packets come back by a loop.'
          : others.length > 0
            ? `Another machine (hardware address ${others.join(', ')}) sends with an address of this host: a duplicate address, a forgery, or a box that sends frames back.`
            : 'Packets of this host come back to it: there is a loop in the network.',
        rulesOut: [
          { id: 'ip-rpfilter', because: 'the reverse-path filter has a reason of its own' },
        ],
        fixes: [
          {
            id: 'find-the-other-host',
            title: 'Find the other host, or the loop',
            risk: 'disruptive',
            cost: 'whoever uses the address loses it',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'arping -D -c 3 -I INTERFACE OWN-ADDRESS: a reply names the host to be given another address. Without a reply, look for frames that come back (bridge loop, mirrored switch port).',
              },
            ],
          },
        ],
        claims: [
          { reason: REASON, packets },
          ...unnamed.map((drop): Claim => ({
            ...UNNAMED,
            ...interfaceOf(drop),
            packets: drop.packets,
          })),
        ],
      },
      ...duplicates,
    ];
  },
});

/** Those without a reason whose source the kernel would route to itself, with their flows only. */
function fromOwnAddress(capture: DropCapture, lookups: Lookups | undefined): readonly DropCount[] {
  const own = new Set(
    (lookups?.answers ?? [])
      .filter(({ wayBack }) => wayBack?.answer.kind === 'route' && wayBack.answer.local)
      .map(({ source }) => source),
  );
  const { reason, location } = UNNAMED;
  return dropsOf(capture, { reasons: [reason], locations: [location] }).flatMap((drop) => {
    const { details } = drop;
    const topFlows = (details?.topFlows ?? []).filter(({ source }) => own.has(source));
    if (details === undefined || topFlows.length === 0) return [];
    const packets = Math.min(drop.packets, packetsOf(topFlows));
    return [{ ...drop, packets, details: { ...details, topFlows } }];
  });
}

/** Hardware addresses the packets came from, of those the capture kept. */
function sendersOf(events: readonly DropCount[]): readonly string[] {
  const samples = events.flatMap(({ details }) => details?.samples ?? []);
  const addresses = samples
    .filter(({ link }) => link === 'ethernet')
    .map(({ bytes }) => Buffer.from(bytes, 'base64').subarray(SOURCE_MAC.from, SOURCE_MAC.to))
    .filter(({ length }) => length === SOURCE_MAC.to - SOURCE_MAC.from)
    .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':'));
  return [...new Set(addresses)];
}
