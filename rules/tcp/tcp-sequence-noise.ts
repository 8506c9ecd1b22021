import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule, type Finding } from '../../src/model/rule.ts';
import { countReasons, countUnspecified, withoutReasons } from '../benign.ts';
import { rises } from '../protocol-counters.ts';
import { aboveNoise, harmlessOf, symptom } from './segments.ts';

export const REASONS = [
  'TCP_OLD_DATA',
  'TCP_OLD_SEQUENCE',
  'TCP_OLD_ACK',
  'TCP_TOO_OLD_ACK',
  'TCP_OFOMERGE',
  'TCP_OFO_DROP',
  'TCP_OVERWINDOW',
  'TCP_INVALID_SEQUENCE',
  'TCP_INVALID_END_SEQUENCE',
  'TCP_INVALID_ACK_SEQUENCE',
  'TCP_ACK_UNSENT_DATA',
  'TCP_INVALID_SYN',
  'TCP_FLAGS',
  'TCP_FASTOPEN',
  'TCP_RFC7323_PAWS_ACK',
];
/** On kernels without reasons. Before 5.19 `tcp_drop` stood for nearly all of TCP. */
const LOCATIONS = [
  'tcp_drop',
  'tcp_rcv_established',
  'tcp_data_queue',
  'tcp_data_queue_ofo',
  'tcp_validate_incoming',
  'tcp_rcv_synsent_state_process',
  'tcp_ack',
];
/** Duplicates, by RFC 2018 and 2883, and segments that do not fit the connection (RFC 5961). */
const COUNTERS = [
  'TcpExt.DelayedACKLost',
  'TcpExt.TCPOFOMerge',
  'TcpExt.TCPChallengeACK',
  'TcpExt.BeyondWindow',
];

export default defineRule({
  id: 'tcp-sequence-noise',
  title: 'Repeated TCP segments',
  needs: { drops, snmp },
  // They make peers send again.
  consequenceOf: ['tcp-zero-window', 'tcp-rcvbuf-prune', 'tcp-csum-error'],
  reviewed: '2026-11-22',
  explain: {
    see: 'Drop events `TCP_OLD_DATA`, `TCP_OLD_SEQUENCE`, `TCP_OFOMERGE` and the like. Data arrives complete.',
    kernel:
      'A sender that missed an acknowledgement, or waited too short a time, sends again what has arrived already. `tcp_data_queue` and `tcp_validate_incoming` (net/ipv4/tcp_input.c) discard such segments, and those whose numbers do not fit the connection.',
    confirm:
      '`nstat -az TcpExtDelayedACKLost TcpExtTCPDSACKOldSent TcpExtTCPOFOMerge TcpExtTCPChallengeACK`, beside `TcpInSegs`.',
    fix: 'None is needed for a small share. If it is large, look for the loss or the delay of packets in the other direction: `mtr --tcp`, counters of the peer and of the switches between.',
    normal:
      'Up to about one in a hundred segments, on any network. Keepalives, and probes of a window that is closed, however many.',
    references: [
      'net/ipv4/tcp_input.c tcp_data_queue, tcp_validate_incoming (Linux 6.18)',
      'Documentation/networking/snmp_counter.rst',
      'RFC 2883, RFC 5961',
    ],
  },
  judge({ drops, snmp }, window) {
    const packets = harmlessOf(countUnspecified(drops, LOCATIONS), snmp);
    const benign: Finding = {
      kind: 'benign',
      text: 'TCP segments that had arrived before, or no longer fit their connection: the data itself was not lost.',
      claims: [{ reason: REASONS }, withoutReasons({ location: LOCATIONS, packets })],
    };
    // Keepalives, and probes of a closed window, repeat a number but no data: TCP_OLD_SEQUENCE as well, not counted.
    const data = Math.min(countReasons(drops, REASONS), rises(snmp, COUNTERS));
    const repeated = aboveNoise(data, COUNTERS, snmp, window);
    return repeated === undefined
      ? [benign]
      : [
          benign,
          symptom(
            repeated,
            'were repeated, or did not fit their connection',
            'Peers send much again that has arrived already. It is a symptom: acknowledgements are lost or late on the way back, or packets are overtaken on the way. The loss is probably not on this host.',
          ),
        ];
  },
});
