import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { EtherType } from '../../src/model/drops.ts';
import { defineRule } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { checksumFix } from '../checksum-fix.ts';
import { dropsWhere, observedRises, rises } from '../protocol-counters.ts';

const ERRORS = ['Udp.InCsumErrors', 'Udp6.InCsumErrors'];
/** On arrival, or only when the program reads. */
const LOCATIONS = [
  '__udp4_lib_rcv',
  '__udp6_lib_rcv',
  'udp_queue_rcv_one_skb',
  'udpv6_queue_rcv_one_skb',
  'udp_recvmsg',
  'udpv6_recvmsg',
  '__first_packet_length',
];

export default defineRule({
  id: 'udp-csum-error',
  title: 'UDP datagrams arrive with a wrong checksum',
  needs: { snmp },
  wants: { drops },
  consequenceOf: ['offload-checksum-bug'],
  reviewed: '2026-11-22',
  explain: {
    see: 'One flow, or all flows of one peer, lose datagrams. The sender sees nothing, and tcpdump shows them arrive ("bad udp cksum").',
    kernel:
      '`__udp4_lib_rcv` and `__udp6_lib_rcv` (net/ipv4/udp.c, net/ipv6/udp.c) verify the checksum, or `udp_recvmsg` does when the program reads, and drop the datagram with the reason `UDP_CSUM`: `Udp InCsumErrors`, and `Udp InErrors` beside it. It counts for closed ports as well. IPv6 wants a checksum always: a datagram without one counts in `Udp6 InCsumErrors`, but has the reason `NO_SOCKET` (Linux 6.18).',
    confirm:
      '`nstat -az UdpInCsumErrors Udp6InCsumErrors`; `tcpdump -vvni INTERFACE udp` on this host marks them as "bad udp cksum". Of packets that this host sends itself, the mark is normal: the network card fills the checksum in.',
    fix: 'Find what the damaged datagrams have in common. One sender: its network card, its offloads, its cable. All of one tunnel: the checksum offload of the tunnel (see offload-checksum-bug). All senders: the cable, the switch or the card on this side.',
    normal: 'A few a day on a path over the Internet.',
    references: ['net/ipv4/udp.c __udp4_lib_rcv, udp_recvmsg (Linux 6.18)', 'RFC 8200 section 8.1'],
  },
  judge({ snmp, drops }) {
    const packets = rises(snmp, ERRORS);
    if (packets === 0) return [];
    const rcvbufErrors = rises(snmp, ['Udp.RcvbufErrors', 'Udp6.RcvbufErrors']);
    const named = dropsWhere(
      drops,
      ({ reason, protocol }) => reason === 'UDP_CSUM' && protocol === EtherType.IPv6,
    );
    const withoutChecksum = Math.max(0, rises(snmp, ['Udp6.InCsumErrors']) - named.packets);
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        packets,
        traffic: {
          packets: rises(
            snmp,
            ['Udp', 'Udp6'].flatMap((udp) => [
              `${udp}.InDatagrams`,
              `${udp}.InErrors`,
              `${udp}.NoPorts`,
            ]),
          ),
          what: 'UDP datagrams received',
        },
        scope: {},
        because: observedRises(snmp, ERRORS, 'datagrams whose checksum was wrong'),
        means:
          'UDP datagrams were damaged on their way to this host, or sent without their checksum.',
        rulesOut: [
          {
            id: 'udp-rcvbuf-full',
            because: `full receive buffers are counted apart: RcvbufErrors +${rcvbufErrors}`,
          },
        ],
        fixes: [checksumFix('udp')],
        claims: [
          { reason: 'UDP_CSUM', packets },
          { reason: 'NO_SOCKET', location: '__udp6_lib_rcv', packets: withoutChecksum },
          withoutReasons({ location: LOCATIONS, packets }),
        ],
        countedAgain: true,
      },
    ];
  },
});
