import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { unspecified } from '../benign.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const COUNTER = 'TcpExt.TCPBacklogDrop';
const LOCATIONS = [
  'tcp_add_backlog',
  'tcp_v4_rcv',
  'tcp_v6_rcv',
  '__sk_receive_skb',
  'sk_add_backlog',
];

export default defineRule({
  id: 'tcp-backlog-drop',
  title: 'TCP segments arrive while their socket is busy, and its waiting line is full',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Single fast connections lose segments under load, and peers send again.',
    kernel:
      'While a program is inside a system call on a socket, segments for it wait in its backlog. `tcp_add_backlog` (net/ipv4/tcp_ipv4.c) drops what does not fit: `SOCKET_BACKLOG`, counted in `TcpExt TCPBacklogDrop`. The limit follows from the receive and the send buffer of the socket (Linux 6.18: twice the receive buffer, half the send buffer, and 64 kB).',
    confirm:
      '`nstat -az TcpExtTCPBacklogDrop TcpExtTCPBacklogCoalesce`; `ss -tmi` shows `bl` (the backlog), `rb` and `tb` of each connection.',
    fix: 'Let the program not set a small SO_RCVBUF, and not send or receive megabytes in one call. Newer kernels (4.20 and later) put waiting segments together, which makes this rare.',
    normal: 'Never, but a handful under full load does no harm: TCP sends again.',
    references: ['net/ipv4/tcp_ipv4.c tcp_add_backlog (Linux 6.18)'],
  },
  judge({ snmp }) {
    const packets = rises(snmp, [COUNTER]);
    if (packets === 0) return [];
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        packets,
        traffic: { packets: rises(snmp, ['Tcp.InSegs']), what: 'TCP segments received' },
        scope: {},
        because: observedRises(snmp, [COUNTER], 'segments that found the backlog of a socket full'),
        means:
          'A program keeps a TCP socket locked in long system calls, and more segments arrive meanwhile than may wait. The peer sends them again.',
        rulesOut: [
          {
            id: 'tcp-rcvbuf-prune',
            because: `full receive buffers are counted apart: RcvPruned +${rises(snmp, ['TcpExt.RcvPruned'])}`,
          },
        ],
        fixes: [
          {
            id: 'larger-buffers',
            title: 'Let the socket have larger buffers, or shorter system calls',
            risk: 'caution',
            cost: 'Memory, only while segments wait.',
            steps: [
              {
                kind: 'manual',
                text: 'Find the connection with a high backlog: ss -tmip, field bl. If its rb is small, the program sets SO_RCVBUF: it should leave that to the kernel. Otherwise it should read and write in smaller portions.',
              },
            ],
            takesEffect: 'new-sockets',
          },
        ],
        claims: [
          { reason: 'SOCKET_BACKLOG', location: LOCATIONS, packets },
          ...unspecified({ location: LOCATIONS, packets }),
        ],
      },
    ];
  },
});
