import captures, { type Capture } from '../../checks/captures.ts';
import drops from '../../checks/drops.ts';
import type { SocketDetails } from '../../checks/sockets/socket.ts';
import sockets, { type DatagramSocket } from '../../checks/sockets.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding, type Finding } from '../../src/model/rule.ts';
import { unspecified, withoutReasons } from '../benign.ts';

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
/** Less is missed by any capture that starts or stops: what comes between its opening and its first read. */
const MISSED_MIN = 10;
/** More sockets than these are not named. */
const NAMED_SOCKETS = 3;

export default defineRule({
  id: 'raw-or-packet-socket-full',
  title: 'A capture or raw socket does not take its copy of a packet',
  needs: {},
  wants: { captures, drops, sockets },
  reviewed: '2026-11-22',
  explain: {
    see: 'tcpdump says "packets dropped by kernel", or several programs that ping run at a time. Traffic is well.',
    kernel:
      'Packet sockets (`packet_rcv`, `tpacket_rcv`, net/packet/af_packet.c) and raw sockets (`raw_rcv`, net/ipv4/raw.c) get a copy of each packet. If the buffer of the socket is full, or the filter that the program attached refuses it (ping takes only answers to its own requests), that copy is freed: `PACKET_SOCK_ERROR` since 6.8, `SOCKET_FILTER` for the filter of a raw socket. A full raw socket counts in /proc/net/raw and leaves no drop event, nor does a full capture of a packet that somebody else takes as well (Linux 6.18).',
    confirm: '`ss -0anmp` and `ss -wanmp` list such sockets: `d` counts what did not fit.',
    fix: 'For a complete capture: `tcpdump -B 65536`, a shorter `-s`, a narrower filter. A program with a raw socket (OSPF, VRRP, ping) needs a larger SO_RCVBUF, or has to read faster.',
    normal:
      'Always, as far as the traffic is concerned: only the onlooker loses. But for protocols that are done in a program (OSPF, VRRP), the copy is the packet.',
    references: [
      'net/packet/af_packet.c packet_rcv (Linux 6.18)',
      'net/ipv4/raw.c raw_v4_input, raw_rcv (Linux 6.18)',
    ],
  },
  judge({ captures, sockets }) {
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
    const missed = losing(captures?.first.sockets, captures?.last.sockets);
    if (lostBy(missed) >= MISSED_MIN) findings.push(incompleteCapture(missed));
    const full = losing(sockets?.first.raw, sockets?.last.raw);
    if (lostBy(full) >= MISSED_MIN) findings.push(fullRawSocket(full));
    return findings;
  },
});

interface Loss<Socket> {
  readonly socket: Socket;
  readonly before: bigint;
  readonly lost: number;
}

/** Sockets whose drops rose, most first. */
function losing<Key, Socket extends { readonly drops: bigint }>(
  first: ReadonlyMap<Key, Socket> = new Map(),
  last: ReadonlyMap<Key, Socket> = new Map(),
): readonly Loss<Socket>[] {
  return [...last]
    .map(([key, socket]) => {
      const before = first.get(key)?.drops ?? socket.drops;
      return { socket, before, lost: rise(before, socket.drops) };
    })
    .filter(({ lost }) => lost > 0)
    .sort((a, b) => b.lost - a.lost);
}

function lostBy(losses: readonly { readonly lost: number }[]): number {
  return losses.reduce((sum, { lost }) => sum + lost, 0);
}

function programOf({ process }: SocketDetails): string {
  return process === undefined ? 'a program' : `${process.name} (pid ${process.pid})`;
}

/** Copies: the packets themselves went on. */
function incompleteCapture(losses: readonly Loss<Capture>[]): CauseFinding {
  const process = losses[0]?.socket.process;
  return {
    ...hint,
    confidence: 'certain',
    scope: process === undefined ? {} : { process },
    because: losses.slice(0, NAMED_SOCKETS).map(({ socket, before, lost }) => ({
      source: 'ss -0anmp, d',
      text: `${lost} packets did not fit into the capture buffer of ${programOf(socket)}`,
      first: String(before),
      last: String(socket.drops),
    })),
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

function fullRawSocket(losses: readonly Loss<DatagramSocket>[]): CauseFinding {
  const [main] = losses;
  const process = main?.socket.process;
  const program = process === undefined ? 'A program' : programOf({ process });
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
