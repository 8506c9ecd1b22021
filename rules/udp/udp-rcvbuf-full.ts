import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import sockets, { type DatagramSocket } from '../../checks/sockets.ts';
import sysctl from '../../checks/sysctl.ts';
import { EtherType, packetsOf, type DropFlow } from '../../src/model/drops.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import {
  counterObservations,
  expectation,
  rises,
  rulesOut,
  sizeObservations,
  socketObservations,
  type Seen,
} from './rcvbuf-evidence.ts';
import { rcvbufFixes } from './rcvbuf-fixes.ts';
import { lossesBySocket, type SocketLoss } from './rcvbuf-loss.ts';
import { queueBehaviour, type QueueBehaviour } from './rcvbuf-queue.ts';
import { neededRcvbufBytes, sizeOrigin, type SizeOrigin } from './rcvbuf-size.ts';

/** More sockets than this are one finding: a list of hundreds helps nobody. */
const NAMED_SOCKETS_MAX = 10;

/** Where full buffers show on kernels without drop reasons; inlining decides which. */
const LOCATIONS = [
  'udp_queue_rcv_one_skb',
  'udpv6_queue_rcv_one_skb',
  '__udp_queue_rcv_skb',
  '__udpv6_queue_rcv_skb',
  'udp_queue_rcv_skb',
  'udpv6_queue_rcv_skb',
  '__udp_enqueue_schedule_skb',
  'sock_queue_rcv_skb',
  'sock_queue_rcv_skb_reason',
  '__udp4_lib_mcast_deliver',
  '__udp6_lib_mcast_deliver',
];

export default defineRule({
  id: 'udp-rcvbuf-full',
  title: 'The receive buffer of a UDP socket is full',
  needs: { snmp, sockets },
  wants: { drops, sysctl },
  reviewed: '2026-11-21',
  explain: {
    see: 'One UDP service loses datagrams (DNS, syslog, statsd, RTP, QUIC): gaps in sequence numbers, retries, missing log lines. Other services on the host are well.',
    kernel:
      '`__udp_enqueue_schedule_skb()` refuses a datagram when the memory charged to the socket would exceed `sk_rcvbuf`. ' +
      'The loss counts in `Udp.RcvbufErrors`, in `Udp.InErrors` and in the drops of the socket: one packet, three counters. ' +
      'It is freed as `SOCKET_RCVBUFF` at `udp_queue_rcv_one_skb` or `udpv6_queue_rcv_one_skb` (6.18). ' +
      'Each reader of a multicast group loses its own copy. IPv4 datagrams for a dual-stack socket count in `Udp`, not `Udp6`. ' +
      '`sk_rcvbuf` is `net.core.rmem_default` unless the program sets SO_RCVBUF: then it is twice the asked size, at most twice `net.core.rmem_max`. ' +
      'SO_RCVBUFFORCE ignores that limit. A datagram is charged with its overhead: 1,280 bytes for 500, 2,304 for 1,400.',
    confirm:
      '`nstat -az UdpRcvbufErrors Udp6RcvbufErrors`, then `ss -uanmpe`: Recv-Q is the queue, `rb` the buffer, `d` the losses of the socket. Repeat it: always full, or only at times?',
    fix:
      'If the queue is full most of the time, the reader is too slow or hangs, and no buffer helps: more readers (SO_REUSEPORT), less work per datagram. ' +
      'If it fills only in bursts, the buffer must hold one burst. Who chose its size decides what to change: nobody → `net.core.rmem_default`; ' +
      'a program that asked for more than it was allowed → `net.core.rmem_max`; a program that asked for too little → the program. Restart it: sockets keep their buffer.',
    normal:
      'A few losses in a burst, for a protocol that repeats its requests. A program that opens a socket and never reads it on purpose.',
    references: [
      'https://www.kernel.org/doc/html/latest/admin-guide/sysctl/net.html#rmem-default',
      'https://man7.org/linux/man-pages/man7/socket.7.html',
      'https://man7.org/linux/man-pages/man7/udp.7.html',
    ],
  },

  judge(seen) {
    const rcvbufErrors = rises(seen, 'RcvbufErrors');
    if (rcvbufErrors === 0) return [];
    const losses = lossesBySocket(seen.sockets, rcvbufErrors, seen.drops);
    const open = losses.sockets.filter(({ closed }) => !closed);
    const closed = losses.sockets.filter(({ closed }) => closed);
    const others = open.slice(NAMED_SOCKETS_MAX);
    const cases = open.slice(0, NAMED_SOCKETS_MAX).map((loss) => caseOf(loss, seen));
    // Which of several sockets lost to a full buffer, and which to something else, no counter says.
    const confidence = losses.otherReasons > 0 && losses.sockets.length > 1 ? 'likely' : 'certain';

    const findings = cases.map((one) => ofSocket(one, cases, confidence, seen));
    if (others.length > 0) findings.push(ofOthers(others, confidence, seen));
    if (closed.length > 0 || losses.unseen > 0) {
      findings.push(ofClosed(closed, losses.unseen, confidence, seen));
    }
    return findings;
  },
});

interface Case {
  readonly loss: SocketLoss;
  readonly queue: QueueBehaviour;
  readonly origin: SizeOrigin;
  readonly neededBytes: number | undefined;
}

function caseOf(loss: SocketLoss, { sysctl }: Seen): Case {
  const { rcvbufBytes } = loss.socket;
  const queue = queueBehaviour(loss.history, rcvbufBytes);
  return {
    loss,
    queue,
    origin: sizeOrigin(rcvbufBytes, sysctl?.last),
    neededBytes:
      rcvbufBytes === undefined
        ? undefined
        : neededRcvbufBytes(rcvbufBytes, queue.burstPackets, sysctl?.last),
  };
}

function ofSocket(
  one: Case,
  cases: readonly Case[],
  confidence: CauseFinding['confidence'],
  seen: Seen,
): CauseFinding {
  const { loss, queue, origin } = one;
  const { socket, packets } = loss;
  const own = refusedBy(socket, seen);
  const program = programOf(socket);
  // One setting for all sockets it can help: two findings must not ask for two values.
  const alike = cases.filter((other) => other.origin === origin && other.queue.why === 'bursts');
  const needed = alike.flatMap(({ neededBytes }) => neededBytes ?? []);
  return {
    ...common(packets, seen, own.protocols),
    confidence,
    flows: own.flows,
    scope: {
      socket: nameOf(socket),
      ...(socket.process === undefined ? {} : { process: socket.process }),
    },
    because: [
      ...counterObservations(seen),
      ...socketObservations(loss, queue),
      ...sizeObservations(socket.rcvbufBytes, origin, seen),
    ],
    means: `${MEANS[queue.why](program)} What does not fit into the receive buffer is dropped.`,
    fixes: rcvbufFixes({
      program,
      port: portOf(socket.local),
      rcvbufBytes: socket.rcvbufBytes,
      queue,
      origin,
      neededBytes: one.neededBytes === undefined ? undefined : Math.max(one.neededBytes, ...needed),
      sysctl: seen.sysctl?.last,
      udpSockets: seen.sockets.last.udp.size,
      expect: expectation(seen),
    }),
  };
}

const MEANS: Readonly<Record<QueueBehaviour['why'], (program: string) => string>> = {
  behind: (program) => `${program} does not read its datagrams as fast as they come.`,
  bursts: (program) => `Datagrams for ${program} come in bursts larger than its receive buffer.`,
  unknown: (program) => `Datagrams for ${program} come faster than it reads them.`,
};

/** Beyond the sockets that lost most. */
function ofOthers(
  losses: readonly SocketLoss[],
  confidence: CauseFinding['confidence'],
  seen: Seen,
): CauseFinding {
  const packets = packetsOf(losses);
  return {
    ...common(packets, seen),
    confidence,
    scope: {},
    because: [
      ...counterObservations(seen),
      {
        source: '/proc/net/udp drops',
        text: `${losses.length} more sockets lost ${packets} datagrams: ${namesOf(losses)}`,
      },
    ],
    means: `${losses.length} more UDP sockets lose datagrams because their receive buffers are full.`,
    fixes: [],
  };
}

/** A socket takes its counter, its owner and its buffer size with it; only RcvbufErrors stays. */
function ofClosed(
  losses: readonly SocketLoss[],
  unseen: number,
  confidence: CauseFinding['confidence'],
  seen: Seen,
): CauseFinding {
  const packets = packetsOf(losses) + unseen;
  const [only, ...more] = losses;
  return {
    ...common(packets, seen),
    confidence,
    scope:
      only !== undefined && more.length === 0 && unseen === 0
        ? { socket: nameOf(only.socket) }
        : {},
    because: [
      ...counterObservations(seen),
      ...(losses.length === 0
        ? []
        : [
            {
              source: '/proc/net/udp drops',
              text: `${packetsOf(losses)} lost by sockets that are closed now: ${namesOf(losses)}`,
            },
          ]),
      ...(unseen === 0
        ? []
        : [
            { source: '/proc/net/udp drops', text: `${unseen} that no socket we saw accounts for` },
          ]),
    ],
    means:
      'UDP sockets that lived only for a part of the measurement lost datagrams because their receive buffers were full.',
    fixes: [],
  };
}

function namesOf(losses: readonly SocketLoss[]): string {
  const names = losses.slice(0, 5).map(({ socket }) => nameOf(socket));
  return losses.length > names.length ? `${names.join(', ')} …` : names.join(', ');
}

/** What all findings of one window share. */
function common(packets: number, seen: Seen, protocol = PROTOCOLS) {
  const received = rises(seen, 'InDatagrams') + rises(seen, 'InErrors');
  return {
    kind: 'cause',
    packets,
    // InDatagrams counts at the read (udp_recvmsg()): of a reader that hangs only the losses count.
    traffic: { packets: received, what: 'UDP datagrams for local sockets' },
    rulesOut: rulesOut(seen),
    claims: [
      { reason: 'SOCKET_RCVBUFF', protocol, packets },
      { reason: null, location: LOCATIONS, packets },
    ],
  } as const satisfies Partial<CauseFinding>;
}

/** EtherTypes of IP. */
const PROTOCOLS: readonly number[] = [EtherType.IPv4, EtherType.IPv6];

/** As far as the capture tells: whose they were, or else which port they went to. */
function refusedBy(
  { inode, local }: DatagramSocket,
  { drops }: Seen,
): { readonly flows: readonly DropFlow[]; readonly protocols: readonly number[] } {
  const port = portOf(local);
  const own = (drops?.drops ?? [])
    .filter(({ reason }) => reason === 'SOCKET_RCVBUFF')
    .flatMap(({ protocol, details }) =>
      (details?.topFlows ?? []).map((flow) => ({ protocol, flow })),
    )
    .filter(({ flow: { socket, ports } }) =>
      socket === undefined ? `:${ports?.destination}` === port : socket === inode,
    );
  const protocols = [...new Set(own.map(({ protocol }) => protocol))];
  return {
    flows: own.map(({ flow }) => flow),
    protocols: protocols.length === 0 ? PROTOCOLS : protocols,
  };
}

/** `:53` */
function portOf(local: string): string {
  return local.slice(local.lastIndexOf(':'));
}

function nameOf({ local, peer }: DatagramSocket): string {
  return peer === null ? `udp ${local}` : `udp ${local} from ${peer}`;
}

function programOf({ process, local, inode }: DatagramSocket): string {
  if (process !== undefined) return `${process.name} (pid ${process.pid})`;
  return inode === 0 ? `the kernel's own socket ${local}` : `the program at ${local}`;
}
