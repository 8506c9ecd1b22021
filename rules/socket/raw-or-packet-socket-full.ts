import drops from '../../checks/drops.ts';
import sockets, { type DatagramSocket, type SocketsValue } from '../../checks/sockets.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding, type Finding } from '../../src/model/rule.ts';
import { countReasons, unspecified, withoutReasons } from '../benign.ts';

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
/** Less is missed by any capture that starts or stops. */
const MISSED_MIN = 10;
const NAMED_SOCKETS = 3;

export default defineRule({
  id: 'raw-or-packet-socket-full',
  title: 'A capture or raw socket does not take its copy of a packet',
  needs: {},
  wants: { drops, sockets },
  reviewed: '2026-11-22',
  explain: {
    see: 'tcpdump says "packets dropped by kernel", or several programs that ping run at a time. Traffic is well.',
    kernel:
      'Packet sockets (`packet_rcv`, `tpacket_rcv`, net/packet/af_packet.c) and raw sockets (`raw_rcv`, net/ipv4/raw.c) get a copy of each packet. If the buffer of the socket is full, or the filter that the program attached refuses it (ping takes only answers to its own requests), that copy is freed: `PACKET_SOCK_ERROR` since 6.8, `SOCKET_FILTER` for the filter of a raw socket. A full raw socket counts in /proc/net/raw and leaves no drop event (Linux 6.18).',
    confirm: '`ss -0` and `ss -w` list such sockets; `/proc/net/raw` counts the drops of raw ones.',
    fix: 'For a complete capture: `tcpdump -B 65536`, a shorter `-s`, a narrower filter. A program with a raw socket (OSPF, VRRP, ping) needs a larger SO_RCVBUF, or has to read faster.',
    normal:
      'Always, as far as the traffic is concerned: only the onlooker loses. But for protocols that are done in a program (OSPF, VRRP), the copy is the packet.',
    references: [
      'net/packet/af_packet.c packet_rcv (Linux 6.18)',
      'net/ipv4/raw.c raw_v4_input, raw_rcv (Linux 6.18)',
    ],
  },
  judge({ drops, sockets }, { severalNetns }) {
    const findings: Finding[] = [
      {
        kind: 'benign',
        text: 'Copies of packets for captures (tcpdump) and raw sockets (ping) that were full or filter them out. The packets themselves went on; a full capture is incomplete.',
        claims: [
          { reason: 'PACKET_SOCK_ERROR' },
          ...unspecified({ location: CAPTURES }),
          { reason: ['SOCKET_RCVBUFF', 'SOCKET_FILTER', 'NOT_SPECIFIED'], location: RAW_SOCKETS },
          withoutReasons({ location: RAW_SOCKETS }),
        ],
      },
    ];
    const missed = drops === undefined ? 0 : countReasons(drops, ['PACKET_SOCK_ERROR']);
    if (missed >= MISSED_MIN && !severalNetns) findings.push(incompleteCapture(missed));
    const full = fullRawSockets(sockets);
    const lost = full.reduce((sum, one) => sum + one.lost, 0);
    if (lost >= MISSED_MIN) findings.push(fullRawSocket(full));
    return findings;
  },
});

/** The packets themselves are counted as harmless: they went on. */
function incompleteCapture(missed: number): CauseFinding {
  return {
    ...hint,
    confidence: 'certain',
    scope: {},
    because: [
      { source: 'skb:kfree_skb', text: `${missed} copies did not fit (PACKET_SOCK_ERROR)` },
    ],
    means:
      'A capture that runs here (tcpdump or the like) misses packets, so what it shows is not complete. The packets themselves went on.',
    fixes: [
      {
        id: 'larger-capture-buffer',
        title: 'Give the capture a larger buffer, or less to take',
        risk: 'none',
        cost: 'Memory for the capture.',
        steps: [
          {
            kind: 'command',
            argv: ['ss', '-0', '-anp'],
            why: 'lists the captures that run, with their programs',
          },
          {
            kind: 'manual',
            text: 'For tcpdump: -B 65536 (kB of buffer), -s 96 (only the headers), and a filter for what you look for.',
          },
        ],
        takesEffect: 'new-sockets',
      },
    ],
  };
}

interface Loss {
  readonly socket: DatagramSocket;
  readonly before: bigint;
  readonly lost: number;
}

function fullRawSockets(sockets: Sampled<SocketsValue> | undefined): readonly Loss[] {
  return [...(sockets?.last.raw ?? [])]
    .map(([key, socket]) => {
      const before = sockets?.first.raw.get(key)?.drops ?? socket.drops;
      return { socket, before, lost: rise(before, socket.drops) };
    })
    .filter(({ lost }) => lost > 0)
    .sort((a, b) => b.lost - a.lost);
}

function fullRawSocket(losses: readonly Loss[]): CauseFinding {
  const [main] = losses;
  const process = main?.socket.process;
  const program = process === undefined ? 'A program' : `${process.name} (pid ${process.pid})`;
  return {
    ...hint,
    confidence: 'certain',
    scope: {
      ...(main === undefined ? {} : { socket: `${main.socket.protocol} ${main.socket.local}` }),
      ...(process === undefined ? {} : { process }),
    },
    because: losses.slice(0, NAMED_SOCKETS).map(({ socket, before, lost }) => ({
      source: `/proc/net/${socket.protocol} ${socket.local} drops`,
      text: `${lost} packets did not fit into the receive buffer of a raw socket for IP protocol ${protocolOf(socket)}`,
      first: String(before),
      last: String(socket.drops),
    })),
    means: `${program} with a raw socket does not read as fast as packets come, so it misses some. The kernel itself handles the packets all the same; but a protocol done by that program (OSPF, VRRP) loses them.`,
    fixes: [
      {
        id: 'larger-raw-buffer',
        title: `Let the program read faster, or give it a larger receive buffer`,
        risk: 'caution',
        cost: 'Some memory while packets wait.',
        steps: [
          {
            kind: 'manual',
            text: 'If the program hangs, restart it. If it only loses bursts, raise its receive buffer (SO_RCVBUF, at most net.core.rmem_max) in its configuration.',
          },
        ],
        takesEffect: 'new-sockets',
      },
    ],
  };
}

/** Of raw sockets the number after the colon is the IP protocol. */
function protocolOf({ local }: DatagramSocket): string {
  return local.slice(local.lastIndexOf(':') + 1);
}

/** Copies, no packets of the network: they do not rank among those. */
const hint = {
  kind: 'cause',
  packets: 0,
  severityAtMost: 'notice',
  rulesOut: [],
  claims: [],
} as const satisfies Partial<CauseFinding>;
