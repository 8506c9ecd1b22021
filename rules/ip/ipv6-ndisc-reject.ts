import { packetsOf } from '../../src/model/drops.ts';
import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { areStray, dropsOf, receivedPackets, seen } from './evidence.ts';
import { rises } from '../protocol-counters.ts';

const REASONS = {
  IPV6_NDISC_HOP_LIMIT: 'hop limit is not 255: it came through a router, or is forged',
  IPV6_NDISC_BAD_CODE: 'its code is not 0',
  IPV6_NDISC_BAD_OPTIONS: 'its options are malformed',
  IPV6_NDISC_FRAG: 'it came in fragments, which is refused (suppress_frag_ndisc)',
} as const;

export default defineRule({
  id: 'ipv6-ndisc-reject',
  title: 'IPv6 neighbour discovery messages are refused as not genuine',
  needs: { drops, snmp },
  reviewed: '2026-11-22',
  explain: {
    see: 'IPv6 neighbours or routers are not found, or somebody tries to forge them.',
    kernel:
      '`ndisc_rcv` (net/ipv6/ndisc.c) takes messages from the same link only (hop limit 255) and of the right form: `IPV6_NDISC_HOP_LIMIT`, `IPV6_NDISC_BAD_CODE`, `IPV6_NDISC_BAD_OPTIONS`, `IPV6_NDISC_FRAG`.',
    confirm:
      '`tcpdump -eni INTERFACE -vv "icmp6 and ip6[40] >= 133 and ip6[40] <= 137"` shows hop limit, options and the hardware address of the sender.',
    fix: 'Find the sender by its hardware address: a switch or access point that rewrites packets, broken software, or an attack.',
    normal: 'Never, but single ones do no harm: they are refused.',
    references: ['net/ipv6/ndisc.c ndisc_rcv (Linux 6.18)', 'RFC 4861, section 7.1'],
  },
  judge({ drops, snmp }, window) {
    const events = dropsOf(drops, { reasons: Object.keys(REASONS) });
    // The messages count as received before they are refused.
    const packets = window.severalNetns
      ? Math.min(packetsOf(events), rises(snmp, ['Icmp6.InMsgs']))
      : packetsOf(events);
    if (packets === 0) return [];
    return [
      {
        kind: 'cause',
        confidence: window.severalNetns ? 'likely' : 'certain',
        packets,
        traffic: receivedPackets(snmp),
        severityAtMost: areStray(packets, window) ? 'notice' : 'warning',
        scope: {},
        because: Object.entries(REASONS).flatMap(([reason, text]) =>
          seen(packetsOf(dropsOf(drops, { reasons: [reason] })), `${reason}: ${text}`),
        ),
        means:
          'Somebody sends neighbour discovery messages that cannot be genuine: a box that rewrites packets, broken software, or an attack. The kernel ignores them.',
        rulesOut: [],
        fixes: [
          {
            id: 'find-the-sender',
            title: 'Find the sender',
            risk: 'none',
            cost: 'none here',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'tcpdump -eni INTERFACE -vv icmp6 shows the hardware address of the sender and what is wrong with its messages.',
              },
            ],
          },
        ],
        claims: [{ reason: Object.keys(REASONS), packets }],
      },
    ];
  },
});
