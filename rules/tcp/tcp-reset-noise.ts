import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule, type Finding } from '../../src/model/rule.ts';
import { countReasons, countUnspecified, unspecified } from '../benign.ts';
import { aboveNoise, harmlessOf, symptom } from './segments.ts';

export const REASONS = ['TCP_RESET', 'TCP_CLOSE'];
/** Resets of half-open connections, last ACKs to TIME_WAIT, segments after a FIN or a close. */
const LOCATIONS = [
  'tcp_v4_rcv',
  'tcp_v6_rcv',
  'tcp_v4_do_rcv',
  'tcp_v6_do_rcv',
  'tcp_rcv_state_process',
  'tcp_child_process',
];
/** Connections that ended otherwise than by FIN. */
const COUNTERS = ['Tcp.EstabResets', 'Tcp.AttemptFails', 'TcpExt.EmbryonicRsts'];

export default defineRule({
  id: 'tcp-reset-noise',
  title: 'The ends of TCP connections',
  needs: { drops, snmp },
  reviewed: '2026-11-22',
  explain: {
    see: 'About one drop event for each short TCP connection, and one for each reset. Nothing is lost.',
    kernel:
      'A segment that ends a connection carries nothing to deliver, so it is freed on the drop path: the last ACK to a socket in TIME_WAIT and resets of half-open connections without a reason in `tcp_v4_rcv` (net/ipv4/tcp_ipv4.c), resets as `TCP_RESET` in `tcp_validate_incoming`, segments for a closed socket as `TCP_CLOSE` in `tcp_rcv_state_process` (net/ipv4/tcp_input.c, Linux 6.18).',
    confirm:
      '`nstat -az TcpEstabResets TcpExtEmbryonicRsts TcpAttemptFails` counts connections that did not end by FIN.',
    fix: 'None is needed for normal ends. If many connections are reset, find who does it: `tcpdump -ni any "tcp[tcpflags] & tcp-rst != 0"` shows the addresses.',
    normal:
      'Always for the ends of connections. Health checks and load balancers often reset on purpose, which saves them TIME_WAIT.',
    references: [
      'net/ipv4/tcp_ipv4.c tcp_v4_rcv, do_time_wait (Linux 6.18)',
      'net/ipv4/tcp_input.c tcp_reset (Linux 6.18)',
      'RFC 5961',
    ],
  },
  judge({ drops, snmp }, window) {
    const packets = harmlessOf(countUnspecified(drops, LOCATIONS), snmp);
    const benign: Finding = {
      kind: 'benign',
      text: 'Last segments and resets of TCP connections that are over: there was nothing left to deliver.',
      claims: [{ reason: REASONS }, ...unspecified({ location: LOCATIONS, packets })],
    };
    const resets = aboveNoise(countReasons(drops, REASONS), COUNTERS, snmp, window);
    return resets === undefined
      ? [benign]
      : [
          benign,
          symptom(
            resets,
            'were resets, or for connections just closed',
            'Many TCP connections end by a reset instead of a normal close. Health checks do that on purpose; otherwise a program, a load balancer or a firewall cuts connections off.',
          ),
        ];
  },
});
