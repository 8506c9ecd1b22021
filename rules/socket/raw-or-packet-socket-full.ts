import { defineBenign, unspecified, withoutReasons } from '../benign.ts';

const CAPTURES = ['packet_rcv', 'tpacket_rcv', 'packet_rcv_fanout'];
const RAW_SOCKETS = [
  'raw_rcv',
  'raw_rcv_skb',
  'raw_v4_input',
  'raw_local_deliver',
  'rawv6_rcv',
  'rawv6_rcv_skb',
  'raw6_local_deliver',
];

export default defineBenign({
  id: 'raw-or-packet-socket-full',
  title: 'A capture or raw socket does not take its copy of a packet',
  reviewed: '2026-11-22',
  text: 'Copies of packets for captures (tcpdump) and raw sockets (ping) that were full or filter them out. The packets themselves went on; a full capture is incomplete.',
  claims: [
    { reason: 'PACKET_SOCK_ERROR' },
    ...unspecified({ location: CAPTURES }),
    { reason: ['SOCKET_RCVBUFF', 'SOCKET_FILTER', 'NOT_SPECIFIED'], location: RAW_SOCKETS },
    withoutReasons({ location: RAW_SOCKETS }),
  ],
  explain: {
    see: 'tcpdump says "packets dropped by kernel", or several programs that ping run at a time. Traffic is well.',
    kernel:
      'Packet sockets (`packet_rcv`, `tpacket_rcv`, net/packet/af_packet.c) and raw sockets (`raw_rcv`, net/ipv4/raw.c) get a copy of each packet. If the buffer of the socket is full, or the filter that the program attached refuses it (ping takes only answers to its own requests), that copy is freed: `PACKET_SOCK_ERROR` since 6.8, `SOCKET_FILTER` for the filter of a raw socket.',
    confirm: '`ss -0` and `ss -w` list such sockets; `/proc/net/raw` counts their drops.',
    fix: 'For a complete capture: `tcpdump -B 65536`, a shorter `-s`, a narrower filter.',
    normal: 'Always, as far as the traffic is concerned: only the onlooker loses.',
    references: [
      'net/packet/af_packet.c packet_rcv (Linux 6.18)',
      'net/ipv4/raw.c raw_rcv (Linux 6.18)',
    ],
  },
});
