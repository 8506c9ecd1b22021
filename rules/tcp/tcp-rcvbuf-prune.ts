import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import sockstat from '../../checks/sockstat.ts';
import sysctl from '../../checks/sysctl.ts';
import type { DropCapture } from '../../src/model/drops.ts';
import { defineRule, type Observation, type Scope } from '../../src/model/rule.ts';
import { unspecified } from '../benign.ts';
import { dropsWhere, observedRises, rises } from '../protocol-counters.ts';
import { tcpMemory } from './tcp-memory.ts';

/** A segment counts in one of these when there is no room for it. */
const REFUSED = ['TcpExt.TCPRcvQDrop', 'TcpExt.TCPOFODrop'];
/** Where tcp_try_rmem_schedule() refuses; inlining decides which shows. */
const LOCATIONS = [
  'tcp_rcv_established',
  'tcp_data_queue',
  'tcp_data_queue_ofo',
  'tcp_try_rmem_schedule',
  'tcp_prune_queue',
  'tcp_prune_ofo_queue',
  'tcp_collapse',
  'tcp_collapse_ofo_queue',
  'tcp_v4_do_rcv',
  'tcp_v6_do_rcv',
  'tcp_rcv_state_process',
  'tcp_send_rcvq',
  'tcp_drop',
  'tcp_drop_reason',
];

export default defineRule({
  id: 'tcp-rcvbuf-prune',
  title: 'The receive buffer of a TCP connection is full',
  needs: { snmp },
  wants: { drops, sockstat, sysctl },
  consequenceOf: ['tcp-mem-pressure'],
  reviewed: '2026-11-22',
  explain: {
    see: 'One connection is slow or stalls; its sender repeats much. Others are well.',
    kernel:
      'A segment is charged with its overhead, so many small ones fill the receive buffer before the window is used up. `tcp_try_rmem_schedule` (net/ipv4/tcp_input.c) then merges segments (`TcpExt TCPRcvCollapsed`), throws out-of-order ones away (`OfoPruned`, reason `TCP_OFO_QUEUE_PRUNE`), and at last refuses the new one (`RcvPruned`, with `TCPRcvQDrop` or `TCPOFODrop`, reason `PROTO_MEM` at `tcp_data_queue` or `tcp_rcv_established`, Linux 6.18). The same reason stands for the limit of all TCP memory (tcp-mem-pressure).',
    confirm:
      '`nstat -az TcpExtPruneCalled TcpExtRcvPruned TcpExtOfoPruned TcpExtTCPRcvQDrop TcpExtTCPOFODrop TcpExtTCPMemoryPressures`; `ss -tmi`: the connection with a high `d`, a full `r`, and its limit `rb`.',
    fix: 'A program that sets SO_RCVBUF itself switches the growth of the buffer off: let it not. If it does not, `net.ipv4.tcp_moderate_rcvbuf=1`, and a maximum in `net.ipv4.tcp_rmem` of twice what is on its way on a fast, long path. A program that does not read cannot be helped by a buffer.',
    normal: 'A handful on a connection that lost a segment under full speed.',
    references: [
      'net/ipv4/tcp_input.c tcp_try_rmem_schedule, tcp_prune_queue (Linux 6.18)',
      'Documentation/networking/snmp_counter.rst, TcpExtPruneCalled',
    ],
  },
  judge({ snmp, drops, sockstat, sysctl }, { severalNetns }) {
    const refused = Math.max(rises(snmp, REFUSED), rises(snmp, ['TcpExt.RcvPruned']));
    // OfoPruned counts the clearings, each of which takes some segments: those only events count.
    const clearings = rises(snmp, ['TcpExt.OfoPruned']);
    const seen = dropsWhere(drops, ({ reason }) => reason === 'TCP_OFO_QUEUE_PRUNE').packets;
    const pruned = clearings === 0 || severalNetns ? clearings : Math.max(clearings, seen);
    const packets = refused + pruned;
    if (packets === 0) return [];
    const memory = tcpMemory(snmp, sockstat, sysctl);
    const autotuning = sysctl?.last.number('net.ipv4.tcp_moderate_rcvbuf');
    return [
      {
        kind: 'cause',
        confidence: memory.pressure === false ? 'certain' : 'likely',
        packets,
        traffic: { packets: rises(snmp, ['Tcp.InSegs']), what: 'TCP segments received' },
        scope: scopeOf(drops),
        because: [
          ...observedRises(snmp, REFUSED, 'segments that found no room'),
          ...observedRises(snmp, ['TcpExt.RcvPruned'], 'times nothing more could be cleared away'),
          ...observedRises(
            snmp,
            ['TcpExt.OfoPruned'],
            'times out-of-order segments were thrown away',
          ),
          ...fullSockets(drops),
        ],
        means:
          'A TCP connection gets more than its receive buffer holds: the program does not read, or its buffer is too small for many small segments. They are dropped, and the peer has to send them again.',
        rulesOut: [
          ...(memory.pressure === false ? [{ id: 'tcp-mem-pressure', because: memory.text }] : []),
          {
            id: 'tcp-backlog-drop',
            because: `TCPBacklogDrop +${rises(snmp, ['TcpExt.TCPBacklogDrop'])}`,
          },
        ],
        fixes: [
          {
            id: 'let-it-grow',
            title: 'Let the buffer of the connection grow',
            risk: 'caution',
            cost: 'Memory, while data waits to be read.',
            steps: [
              ...(autotuning === 0
                ? [
                    {
                      kind: 'command',
                      argv: ['sysctl', '-w', 'net.ipv4.tcp_moderate_rcvbuf=1'],
                      why: 'buffers of programs that set no size grow by themselves (now switched off)',
                    } as const,
                  ]
                : []),
              {
                kind: 'manual',
                text: 'Find the connection: ss -tmip, a high d and an r near rb. If its program sets SO_RCVBUF, take that out: the kernel then sizes the buffer, up to the last value of net.ipv4.tcp_rmem. If its Recv-Q stays high, the program does not read: no buffer helps.',
              },
            ],
            takesEffect: 'new-sockets',
          },
        ],
        claims: [
          { reason: ['PROTO_MEM', 'TCP_OFO_QUEUE_PRUNE'], location: LOCATIONS, packets },
          ...unspecified({ location: LOCATIONS, packets }),
        ],
      },
    ];
  },
});

/** What the kernel told of TCP sockets without room (BPF). */
function fullTcpSockets(drops: DropCapture | undefined) {
  return (drops?.companions?.fullSockets?.rows ?? []).filter(({ protocol }) =>
    /^tcp6?$/.test(protocol),
  );
}

function scopeOf(drops: DropCapture | undefined): Scope {
  const [only, ...others] = fullTcpSockets(drops);
  if (only === undefined || others.length > 0) return {};
  const process = only.socket === null ? undefined : drops?.owners?.get(only.socket);
  return {
    ...(only.local === null ? {} : { socket: `tcp ${only.local}` }),
    ...(process === undefined ? {} : { process }),
  };
}

function fullSockets(drops: DropCapture | undefined): readonly Observation[] {
  return fullTcpSockets(drops)
    .slice(0, 3)
    .map(({ local, packets, queuedBytesMax, rcvbufBytes }) => ({
      source: 'sock:sock_exceed_buf_limit',
      text: `tcp ${local ?? 'socket'} refused ${packets} segments, with up to ${queuedBytesMax} of its ${rcvbufBytes} bytes in use`,
    }));
}
