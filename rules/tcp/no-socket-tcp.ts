import drops from '../../checks/drops.ts';
import type { DropCapture } from '../../src/model/drops.ts';
import { defineRule } from '../../src/model/rule.ts';

export default defineRule({
  id: 'no-socket-tcp',
  title: 'TCP segments for ports or connections that do not exist',
  reviewed: '2026-11-22',
  needs: {},
  wants: { drops },
  explain: {
    see: 'Clients get "connection refused" at once.',
    kernel:
      '`tcp_v4_rcv` (net/ipv4/tcp_ipv4.c) finds no socket for the segment, drops it with the reason `NO_SOCKET`, and answers with a reset (`Tcp OutRsts`), unless the segment was one itself.',
    confirm: '`ss -lnt` lists what listens; `nstat -az TcpOutRsts` counts the resets.',
    fix: 'If the port should be open: start the service, or let it listen on the right address (0.0.0.0 instead of 127.0.0.1) and in the right network namespace.',
    normal:
      'Port scans, health checks before a service is up, and late segments of connections that are over.',
    references: ['net/ipv4/tcp_ipv4.c tcp_v4_rcv, no_tcp_socket (Linux 6.18)'],
  },
  judge: ({ drops }) => [
    {
      kind: 'benign',
      text: `TCP segments for ports that nobody listens on, or for connections already over. The sender is told by a reset.${mostResets(drops)}`,
      // With SYN cookies a full accept queue gives the same reason at cookie_v4_check: not claimed here.
      claims: [{ reason: 'NO_SOCKET', location: ['tcp_v4_rcv', 'tcp_v6_rcv'] }],
    },
  ],
});

/** Where resets were sent from most, as far as the capture was told. */
function mostResets(drops: DropCapture | undefined): string {
  const [most] = drops?.companions?.resetsSent?.rows ?? [];
  if (most === undefined) return '';
  const { localPort, remote, packets } = most;
  const to = remote === null ? 'several peers' : remote;
  return ` Most resets: ${packets} from port ${localPort ?? '?'}, to ${to}.`;
}
