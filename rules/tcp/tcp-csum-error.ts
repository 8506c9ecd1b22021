import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { unspecified } from '../benign.ts';
import { checksumFix } from '../checksum-fix.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const ERRORS = ['Tcp.InCsumErrors'];
const LOCATIONS = [
  'tcp_v4_rcv',
  'tcp_v6_rcv',
  'tcp_v4_do_rcv',
  'tcp_v6_do_rcv',
  'tcp_rcv_established',
  'tcp_rcv_state_process',
];

export default defineRule({
  id: 'tcp-csum-error',
  title: 'TCP segments arrive with a wrong checksum',
  needs: { snmp },
  wants: { drops },
  consequenceOf: ['offload-checksum-bug'],
  reviewed: '2026-11-22',
  explain: {
    see: 'Connections of one peer hang or are slow, though its packets arrive: tcpdump shows them, marked "incorrect".',
    kernel:
      '`tcp_v4_rcv` and `tcp_v6_rcv` (net/ipv4/tcp_ipv4.c) verify the checksum and drop the segment with the reason `TCP_CSUM`: `Tcp InCsumErrors`, and `Tcp InErrs` beside it. The sender gets no acknowledgement and sends it again.',
    confirm:
      '`nstat -az TcpInCsumErrors`; `tcpdump -vvni INTERFACE tcp` on this host marks them as "incorrect". Of packets that this host sends itself, the mark is normal: the network card fills the checksum in.',
    fix: 'Find what the damaged segments have in common. One sender: its network card, its offloads, its cable. All of one tunnel: the checksum offload of the tunnel (see offload-checksum-bug). All senders: the cable, the switch or the card on this side.',
    normal: 'A few a day on a path over the Internet.',
    references: ['net/ipv4/tcp_ipv4.c tcp_v4_rcv (Linux 6.18)', 'tracepoint tcp:tcp_bad_csum'],
  },
  judge({ snmp }) {
    const packets = rises(snmp, ERRORS);
    if (packets === 0) return [];
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        packets,
        traffic: { packets: rises(snmp, ['Tcp.InSegs']), what: 'TCP segments received' },
        scope: {},
        because: observedRises(snmp, ERRORS, 'segments whose checksum was wrong'),
        means:
          'TCP segments were damaged on their way to this host. Their senders have to send them again.',
        rulesOut: [],
        fixes: [checksumFix('tcp')],
        claims: [{ reason: 'TCP_CSUM', packets }, ...unspecified({ location: LOCATIONS, packets })],
        countedAgain: true,
      },
    ];
  },
});
