import drops from '../../checks/drops.ts';
import listeners from '../../checks/listeners.ts';
import snmp from '../../checks/snmp.ts';
import sysctl, { type Sysctl } from '../../checks/sysctl.ts';
import { countDrops } from '../../src/model/drops.ts';
import type { Fix, FixStep } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding, type Observation } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { unspecified } from '../benign.ts';
import { observedRises, rises } from '../protocol-counters.ts';
import { fullListeners, programOf, whyFull, type FullListener } from './accept-queue.ts';

const COUNTER = 'TcpExt.ListenOverflows';
const COOKIE_LOCATIONS = ['cookie_v4_check', 'cookie_v6_check'];
/** Of the last ACK of a handshake, before 6.15. */
const LOCATIONS = [
  'tcp_v4_rcv',
  'tcp_v6_rcv',
  'tcp_v4_do_rcv',
  'tcp_v6_do_rcv',
  'tcp_rcv_state_process',
  ...COOKIE_LOCATIONS,
];
/** More programs than these are counted, not named. */
const NAMED_LISTENERS = 3;
const limitKey = 'net.core.somaxconn';

export default defineRule({
  id: 'tcp-listen-overflow',
  title: 'A TCP service does not accept its connections fast enough',
  needs: { snmp },
  wants: { drops, listeners, sysctl },
  reviewed: '2026-11-22',
  explain: {
    see: 'Connecting takes one, three or seven seconds, or times out, while open connections work and the program looks idle. Load balancers report 502 or a failed health check at times.',
    kernel:
      'Connections that are complete wait in the accept queue of the listening socket until the program takes them with accept(). If more wait than its backlog, `tcp_conn_request` (net/ipv4/tcp_input.c) ignores the next request, and `tcp_v4_syn_recv_sock` (net/ipv4/tcp_ipv4.c) the last ACK of one that was on its way: `TcpExt ListenOverflows`, and `ListenDrops` beside it. The request leaves no drop event; the ACK is `TCP_LISTEN_OVERFLOW` at `tcp_v4_rcv` since 6.15, and `NO_SOCKET` at `cookie_v4_check` where SYN cookies are at work, though the port is open. The backlog is what the program gives to listen(), at most `net.core.somaxconn`.',
    confirm:
      '`nstat -az TcpExtListenOverflows TcpExtListenDrops`; `ss -lntp`: Recv-Q above Send-Q is a queue that overflows, Send-Q its backlog.',
    fix: 'If the queue is full all the time, the program hangs or is too slow: more workers, no blocking work in the loop that accepts, more CPU. If it fills only in bursts, a longer queue helps: a larger backlog in the configuration of the program (nginx `backlog=`, Java `acceptCount`) and a `net.core.somaxconn` that allows it; then restart the program. `tcp_abort_on_overflow` cures nothing: it turns time-outs into resets.',
    normal: 'A few while a service starts, or during a scan.',
    references: [
      'net/ipv4/tcp_input.c tcp_conn_request; net/ipv4/tcp_ipv4.c tcp_v4_syn_recv_sock (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, somaxconn',
      'https://man7.org/linux/man-pages/man2/listen.2.html',
    ],
  },
  judge({ snmp, drops, listeners, sysctl }) {
    const packets = rises(snmp, [COUNTER]);
    if (packets === 0) return [];
    const full = listeners === undefined ? [] : fullListeners(listeners);
    const [only, ...others] = full;
    const one = others.length === 0 ? only : undefined;
    const events = countDrops(drops, 'TCP_LISTEN_OVERFLOW');
    const finding: CauseFinding = {
      kind: 'cause',
      confidence: 'certain',
      packets,
      traffic: {
        packets: packets + rises(snmp, ['Tcp.PassiveOpens']),
        what: 'TCP connection requests',
      },
      scope:
        one === undefined
          ? {}
          : {
              socket: `tcp ${one.socket.local}`,
              ...(one.socket.process === undefined ? {} : { process: one.socket.process }),
            },
      because: [
        ...observedRises(
          snmp,
          [COUNTER],
          'connection requests, or last steps of them, that found the accept queue full',
        ),
        ...full.slice(0, NAMED_LISTENERS).map(queueObservation),
      ],
      means: meaning(full),
      rulesOut: [
        {
          id: 'tcp-syn-queue',
          because: `full queues of half-open connections are counted apart: TCPReqQFullDrop +${rises(snmp, ['TcpExt.TCPReqQFullDrop'])}`,
        },
        { id: 'no-socket-tcp', because: 'the port is open: only listening sockets count this' },
      ],
      fixes: full.slice(0, NAMED_LISTENERS).map((listener) => fixFor(listener, sysctl?.last)),
      claims: [
        { reason: 'TCP_LISTEN_OVERFLOW', packets },
        { reason: 'NO_SOCKET', location: COOKIE_LOCATIONS, packets },
        ...unspecified({ location: LOCATIONS, packets }),
      ],
      // A request that is ignored leaves no event.
      ...(events === 0 && { beforeEvents: true }),
    };
    return [finding];
  },
});

function queueObservation({ socket, looks, fullLooks, peak }: FullListener): Observation {
  return {
    source: `ss -lntp, ${socket.local}`,
    text: `the accept queue of ${programOf(socket)} was full in ${fullLooks} of ${looks} looks: up to ${peak} connections waited, the backlog is ${socket.backlog}`,
  };
}

function meaning(full: readonly FullListener[]): string {
  const [first, ...others] = full;
  if (first === undefined) {
    return 'A program does not take its new connections fast enough, so requests for more are ignored. Which one cannot be told: no accept queue was full when we looked.';
  }
  if (others.length > 0) {
    return `Programs do not take their new connections fast enough, so requests for more are ignored: ${full
      .slice(0, NAMED_LISTENERS)
      .map(({ socket }) => `${programOf(socket)} at port ${socket.port}`)
      .join(', ')}${full.length > NAMED_LISTENERS ? ' and more' : ''}.`;
  }
  return whyFull(first) === 'bursts'
    ? `Connections to port ${first.socket.port} come in bursts larger than the accept queue of ${programOf(first.socket)}; what does not fit is ignored.`
    : `${programOf(first.socket)} does not accept its connections at port ${first.socket.port} as fast as they come; what does not fit into its queue is ignored.`;
}

/** A longer queue only where it can help; and as long as the kernel lets, for the program to ask for more. */
function fixFor(listener: FullListener, sysctl: Sysctl | undefined): Fix {
  const { socket, fullLooks, looks } = listener;
  const program = programOf(socket);
  const why = whyFull(listener);
  if (why !== 'bursts') {
    return {
      id: `accept-faster-${socket.port}`,
      title: `Let ${program} accept faster`,
      risk: 'none',
      cost: 'None by itself.',
      steps: [
        {
          kind: 'manual',
          text: `${
            why === 'behind'
              ? `The queue was full in ${fullLooks} of ${looks} looks, so a longer one would be full as well.`
              : 'The window was too short to tell whether the queue is always full: measure longer (--duration 10s). A longer queue helps only if it empties in between.'
          } See what ${program} waits for (CPU, a lock, a database, a limit of connections), and give it more workers.`,
        },
      ],
      takesEffect: 'at-once',
    };
  }
  const limit = sysctl?.number(limitKey);
  const wanted = 2 * (socket.backlog + 1);
  const steps: FixStep[] = [
    ...(limit !== undefined && limit < wanted ? [sysctlStep(limitKey, limit, wanted)] : []),
    {
      kind: 'manual',
      text:
        limit !== undefined && socket.backlog >= limit
          ? `Restart ${program}: a socket keeps the backlog it was opened with. If the program asks for ${limit} itself, raise its own setting to ${wanted} as well.`
          : `Raise the backlog in the configuration of ${program} from ${socket.backlog} to ${wanted}, and restart it.`,
    },
  ];
  return {
    id: `longer-queue-${socket.port}`,
    title: `Let ${wanted} connections wait for ${program} (now ${socket.backlog})`,
    risk: 'caution',
    cost: 'Under overload clients wait longer instead of trying again. A few kB of memory for each connection that waits.',
    steps,
    expect: {
      counter: `snmp ${COUNTER}`,
      change: 'stops-rising',
      traffic: 'snmp Tcp.PassiveOpens',
    },
    takesEffect: 'new-sockets',
  };
}
