import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import {
  areStray,
  diedHere,
  dropsOf,
  knownByDrops,
  receivedPackets,
  seen,
  strays,
} from './evidence.ts';

const REASON = 'UNICAST_IN_L2_MULTICAST';

export default defineRule({
  id: 'unicast-in-l2-multicast',
  title: 'Packets for this host in broadcast or multicast frames are refused',
  needs: { drops, snmp },
  reviewed: '2026-11-22',
  explain: {
    see: 'One peer, often a load balancer in multicast mode, cannot reach this host, though tcpdump shows its packets.',
    kernel:
      'With `drop_unicast_in_l2_multicast` set, `ip_rcv_finish_core` (net/ipv4/ip_input.c) and `ip6_rcv_core` refuse a packet for one host in a frame for many: `UNICAST_IN_L2_MULTICAST`. No counter moves for IPv4. The setting is for Wi-Fi, where every station can forge such frames.',
    confirm:
      '`sysctl -a 2>/dev/null | grep drop_unicast_in_l2_multicast`; `tcpdump -eni INTERFACE "ether multicast and not ip multicast and not ip broadcast"` shows who sends them.',
    fix: 'If the frames are wanted (Microsoft NLB and some clusters in multicast mode): `sysctl -w net.ipv4.conf.INTERFACE.drop_unicast_in_l2_multicast=0`, and the same for `all`.',
    normal: 'On Wi-Fi with the setting on: it does its work.',
    references: [
      'net/ipv4/ip_input.c ip_rcv_finish_core (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, drop_unicast_in_l2_multicast',
    ],
  },
  judge({ drops, snmp }, window) {
    const packets = diedHere(dropsOf(drops, { reasons: [REASON] }), snmp, window);
    const claims = [{ reason: REASON, packets }];
    if (areStray(packets, window)) {
      return strays(
        'A few packets for one host in frames for many, refused by a setting.',
        claims,
        window,
      );
    }
    const sure = knownByDrops(window);
    return [
      {
        kind: 'cause',
        confidence: sure.confidence,
        packets,
        traffic: receivedPackets(snmp),
        // Somebody set it.
        severityAtMost: sure.most,
        scope: {},
        because: [...seen(packets, `with the reason ${REASON}`)],
        means:
          'A peer sends packets for this host in broadcast or multicast frames, and drop_unicast_in_l2_multicast says to refuse these.',
        rulesOut: [
          { id: 'multicast-not-joined', because: 'the IP destination is one host, not a group' },
        ],
        fixes: [
          {
            id: 'accept-them',
            title: 'Accept such frames, if the peer sends them on purpose',
            risk: 'caution',
            cost: 'on Wi-Fi other stations can then forge packets',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'sysctl -w net.ipv4.conf.INTERFACE.drop_unicast_in_l2_multicast=0 (for IPv6 net.ipv6.conf), and the same for "all": either of the two being 1 is enough to refuse.',
              },
            ],
          },
        ],
        claims,
      },
    ];
  },
});
