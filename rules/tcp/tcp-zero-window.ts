import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule, type Finding } from '../../src/model/rule.ts';
import { dropsWhere, observedRises, rises } from '../protocol-counters.ts';

const REASONS = [
  'TCP_ZEROWINDOW',
  'TCP_OVERWINDOW',
  'TCP_INVALID_SEQUENCE',
  'TCP_INVALID_END_SEQUENCE',
];
const CLOSED = 'TcpExt.TCPToZeroWindowAdv';
const OPENED = 'TcpExt.TCPFromZeroWindowAdv';
/** Data that came though there was no room; the first since 4.20. */
const REFUSED = ['TcpExt.TCPZeroWindowDrop', 'TcpExt.BeyondWindow'];
/** Windows that close and open again belong to any transfer that waits for a disk. */
const STUCK_MIN = 3;
/** Probes of a window that is closed come one by one; as many in a window are a peer that does not obey. */
const REFUSED_MIN = 20;

export default defineRule({
  id: 'tcp-zero-window',
  title: 'Programs do not read their TCP connections',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A transfer stands still. The network is well, and ping works.',
    kernel:
      'When the data that a program has not read fills its receive buffer, TCP tells the peer to stop: a window of zero (`TcpExt TCPToZeroWindowAdv`; `TCPFromZeroWindowAdv` when it opens again). The peer then asks from time to time (window probes). Data that comes nevertheless is dropped: `TCP_ZEROWINDOW` (`TCPZeroWindowDrop`), or `TCP_INVALID_SEQUENCE` and `TCP_INVALID_END_SEQUENCE` at `tcp_validate_incoming` (`BeyondWindow`, Linux 6.18). Nothing is lost for good: the peer keeps it.',
    confirm:
      '`nstat -az TcpExtTCPToZeroWindowAdv TcpExtTCPFromZeroWindowAdv TcpExtTCPZeroWindowDrop TcpExtBeyondWindow`; `ss -tnp`: a Recv-Q that stays high names the program.',
    fix: 'Look at the program that does not read: it hangs, is stopped, or waits for something else. There is nothing to tune in the kernel.',
    normal:
      'Windows that close for a moment, while a program writes to a disk or waits for a database.',
    references: [
      'net/ipv4/tcp_output.c tcp_select_window; net/ipv4/tcp_input.c tcp_sequence (Linux 6.18)',
      'Documentation/networking/snmp_counter.rst, TcpExtTCPToZeroWindowAdv',
    ],
  },
  judge({ snmp, drops }) {
    const benign: Finding = {
      kind: 'benign',
      text: 'Data for TCP connections whose program does not read at the moment. The peer keeps it and sends it later.',
      claims: [{ reason: 'TCP_ZEROWINDOW' }],
    };
    const stuck = rises(snmp, [CLOSED]) - rises(snmp, [OPENED]);
    const zeroWindow = rises(snmp, ['TcpExt.TCPZeroWindowDrop']);
    // Without a closed window, data beyond it is a matter of sequence numbers.
    const beyond = stuck > 0 || zeroWindow > 0 ? rises(snmp, REFUSED) : 0;
    const seen = dropsWhere(drops, ({ reason }) => reason !== null && REASONS.includes(reason));
    const packets = drops?.hasReasons === true ? Math.min(seen.packets, beyond) : beyond;
    if (stuck < STUCK_MIN && packets < REFUSED_MIN) return [benign];
    return [
      benign,
      {
        kind: 'cause',
        confidence: 'likely',
        packets,
        traffic: { packets: rises(snmp, ['Tcp.InSegs']), what: 'TCP segments received' },
        severityAtMost: 'notice',
        scope: {},
        because: [
          ...observedRises(snmp, [CLOSED], 'times a connection told its peer to stop'),
          ...observedRises(snmp, [OPENED], 'times one let it go on'),
          ...observedRises(snmp, REFUSED, 'segments that came nevertheless'),
        ],
        means:
          'A program does not read what it receives, so its peer has to wait. The network is not at fault.',
        rulesOut: [
          {
            id: 'tcp-rcvbuf-prune',
            because: `the peers were told to stop in time: RcvPruned +${rises(snmp, ['TcpExt.RcvPruned'])}`,
          },
        ],
        fixes: [
          {
            id: 'find-the-reader',
            title: 'Find the program that does not read',
            risk: 'none',
            cost: 'None: sockets are only listed.',
            steps: [
              {
                kind: 'command',
                argv: ['ss', '-tnp', 'state', 'established'],
                why: 'a Recv-Q that stays high when you repeat it names the program',
              },
            ],
            takesEffect: 'at-once',
          },
        ],
        claims: packets === 0 ? [] : [{ reason: REASONS, packets }],
      },
    ];
  },
});
