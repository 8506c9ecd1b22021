import { packetsOf } from '../../src/model/drops.ts';
import drops from '../../checks/drops.ts';
import neighbours, { type SilentNeighbours } from '../../checks/neighbours.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule, type Claim, type JudgeWindow, type Severity } from '../../src/model/rule.ts';
import { areStray, dropsOf, seen, sentPackets, strays } from '../ip/evidence.ts';
import { rises } from '../protocol-counters.ts';

/** The hosts of a /28: nobody has so many peers that are down at once, somebody tries addresses one by one. */
const SCANNED_ADDRESSES = 16;
/** More next hops than these are counted, not named. */
const NAMED_NEIGHBOURS = 4;

const REASONS = {
  NEIGH_FAILED: 'packets waited for the answer in vain',
  NEIGH_QUEUEFULL: 'packets found the queue of those that wait full (unres_qlen_bytes)',
  NEIGH_DEAD: 'packets met an entry that was being deleted',
  NEIGH_HH_FILLFAIL: 'packets for which the device could not build a header',
} as const;
const LOCATIONS = [
  'neigh_invalidate',
  'arp_error_report',
  'ndisc_error_report',
  '__neigh_event_send',
  'neigh_event_send',
  'neigh_event_send_probe',
  'neigh_resolve_output',
  'neigh_connected_output',
  'neigh_blackhole',
  'neigh_proxy_process',
];

export default defineRule({
  id: 'neigh-unresolved',
  title: 'The next hop does not answer',
  needs: { drops, snmp },
  wants: { neighbours },
  consequenceOf: ['link-down-tx', 'nic-link-flap', 'vlan-no-device', 'bridge-stp-blocked'],
  reviewed: '2026-11-22',
  explain: {
    see: '"No route to host" (EHOSTUNREACH), `Destination Host Unreachable` from one’s own address, connections to one subnet or behind one gateway fail.',
    kernel:
      'A packet waits while ARP or neighbour discovery asks for the hardware address of the next hop (three times, a second apart). Without an answer `neigh_invalidate` (net/core/neighbour.c) drops what waits: `NEIGH_FAILED`, and tells the senders "host unreachable". Beyond `unres_qlen_bytes` it is dropped at once: `NEIGH_QUEUEFULL` at `__neigh_event_send`.',
    confirm:
      '`ip neigh show nud failed`; `arping -I INTERFACE NEXT-HOP`; `tcpdump -eni INTERFACE arp or "icmp6 and ip6[40] == 135"`: questions without answers.',
    fix: 'The cause is one level down: the peer is off, in another VLAN or subnet (netmask, gateway), its answers are filtered, or the network answers only for addresses it knows (clouds). `unres_qlen_bytes` helps only where the answer comes, but late.',
    normal:
      'Monitoring of hosts that are down. On a router: scans from outside of addresses nobody uses.',
    references: ['net/core/neighbour.c neigh_invalidate, __neigh_event_send (Linux 6.18)'],
  },
  judge({ drops, snmp, neighbours }, window) {
    const events = [
      ...dropsOf(drops, { reasons: Object.keys(REASONS) }),
      ...dropsOf(drops, { reasons: ['NOT_SPECIFIED', null], locations: LOCATIONS }),
    ];
    const told = rises(snmp, ['Icmp.OutDestUnreachs', 'Icmp6.OutDestUnreachs']);
    const silent = neighbours?.last.silent;
    // Local senders are told of each packet; with all neighbours well, they are told of something else.
    const mostHere = !window.severalNetns ? Infinity : silent?.count === 0 ? 0 : told;
    const packets = Math.min(packetsOf(events), mostHere);
    const claims: readonly Claim[] = [
      { reason: Object.keys(REASONS), packets },
      { reason: 'NOT_SPECIFIED', location: LOCATIONS, packets },
      { reason: null, location: LOCATIONS, packets },
    ];
    if (areStray(packets, window)) {
      return strays(
        'A few packets for hosts that do not answer ARP or neighbour discovery.',
        claims,
        window,
      );
    }
    const gateway = silent?.named.find(({ gateway }) => gateway);
    const [only] = silent?.named ?? [];
    const one = gateway ?? (silent?.count === 1 ? only : undefined);
    return [
      {
        kind: 'cause',
        confidence: window.severalNetns ? 'likely' : 'certain',
        packets,
        traffic: sentPackets(snmp),
        severityAtMost: severityAtMost(silent, packets, window),
        scope: one === undefined ? {} : { interface: one.device },
        because: [
          ...Object.entries(REASONS).flatMap(([reason, text]) =>
            seen(packetsOf(dropsOf(drops, { reasons: [reason] })), `${reason}: ${text}`),
          ),
          ...(silent === undefined || silent.count === 0
            ? []
            : [
                {
                  source: 'ip neigh show nud failed nud incomplete',
                  text: namesOf(silent),
                },
              ]),
        ],
        means:
          gateway !== undefined
            ? `The gateway ${gateway.address} on ${gateway.device} does not answer, so nothing that goes through it arrives.`
            : one !== undefined
              ? `${one.address} on ${one.device} does not answer ARP or neighbour discovery, so packets for it are dropped.`
              : isScan(silent)
                ? 'Packets go to many addresses that nobody has: a scan, or a subnet whose hosts are gone.'
                : 'Next hops do not answer ARP or neighbour discovery, so packets for them are dropped.',
        rulesOut: [
          {
            id: 'neigh-table-overflow',
            because: 'the entries could be made; the table was not full',
          },
        ],
        fixes: [
          {
            id: 'reach-the-next-hop',
            title: 'Find out why the next hop does not answer',
            risk: 'none',
            cost: 'none here',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: `${question(one)} No answer: the peer is off, in another VLAN, or its netmask or the route here is wrong. An answer that is not taken: look for filters (nft list ruleset, ebtables, arptables).`,
              },
            ],
          },
        ],
        claims,
      },
    ];
  },
});

/** Arping asks for IPv4 addresses only. */
function question(one: SilentNeighbours['named'][number] | undefined): string {
  const { address = 'NEXT-HOP', device = 'INTERFACE' } = one ?? {};
  return address.includes(':')
    ? `ping -6 -I ${device} ${address} while tcpdump -eni ${device} icmp6 runs.`
    : `arping -I ${device} ${address} while tcpdump -eni ${device} arp runs.`;
}

function isScan(silent: SilentNeighbours | undefined): boolean {
  return (silent?.count ?? 0) >= SCANNED_ADDRESSES;
}

/** A dead gateway takes all with it; a dead peer is somebody else's fault; a scan is nobody's. */
function severityAtMost(
  silent: SilentNeighbours | undefined,
  packets: number,
  window: JudgeWindow,
): Severity {
  if (silent?.named.some(({ gateway }) => gateway) === true) return 'critical';
  // Each of them no more than a single one may have: machines that are off, and a monitoring system that asks for them.
  return isScan(silent) || areStray(packets / (silent?.count ?? 1), window) ? 'notice' : 'warning';
}

function namesOf({ count, named }: SilentNeighbours): string {
  const names = named
    .slice(0, NAMED_NEIGHBOURS)
    .map(({ address, device, gateway }) => `${address} on ${device}${gateway ? ' (gateway)' : ''}`);
  const more = count - names.length;
  return `no answer from ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
