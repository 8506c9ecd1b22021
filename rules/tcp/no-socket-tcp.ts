import drops from '../../checks/drops.ts';
import listeners from '../../checks/listeners.ts';
import snmp from '../../checks/snmp.ts';
import sysctl from '../../checks/sysctl.ts';
import type { DropCapture } from '../../src/model/drops.ts';
import { defineRule, type Finding } from '../../src/model/rule.ts';
import { rises } from '../protocol-counters.ts';
import {
  byPort,
  noSocketDrops,
  portsByFlows,
  refusedFindings,
  type RefusedPort,
} from '../socket/refused-port.ts';

const LOCATIONS = ['tcp_v4_rcv', 'tcp_v6_rcv'];

export default defineRule({
  id: 'no-socket-tcp',
  title: 'TCP segments for ports or connections that do not exist',
  reviewed: '2026-11-22',
  needs: {},
  wants: { drops, listeners, snmp, sysctl },
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
  judge({ drops, listeners, snmp, sysctl }, window) {
    const benign: Finding = {
      kind: 'benign',
      text: `TCP segments for ports that nobody listens on, or for connections already over. The sender is told by a reset.${mostResets(drops)}`,
      // With SYN cookies a full accept queue gives the same reason at cookie_v4_check: not claimed here.
      claims: [{ reason: 'NO_SOCKET', location: LOCATIONS }],
    };
    if (snmp === undefined) return [benign];
    return [
      benign,
      ...refusedFindings({
        protocol: 'TCP',
        locations: LOCATIONS,
        ports: portsOf(drops),
        sockets: listeners?.last.sockets ?? [],
        traffic: { packets: rises(snmp, ['Tcp.InSegs']), what: 'TCP segments received' },
        sysctl,
        window,
      }),
    ];
  },
});

/** By the resets that were sent for them, which are all counted; by flows where the kernel does not tell. */
function portsOf(drops: DropCapture | undefined): readonly RefusedPort[] {
  const resets = drops?.companions?.resetsSent;
  if (resets === null || resets === undefined) return portsByFlows(drops, LOCATIONS);
  const { packets: refused } = noSocketDrops(drops, LOCATIONS);
  return byPort(
    resets.rows.map(({ localPort, local, remote, packets }) => ({
      port: localPort,
      address: local,
      peer: remote,
      packets,
    })),
  ).map((one) => ({ ...one, packets: Math.min(one.packets, refused) }));
}

/** Where resets were sent from most, as far as the capture was told. */
function mostResets(drops: DropCapture | undefined): string {
  const [most] = drops?.companions?.resetsSent?.rows ?? [];
  if (most === undefined) return '';
  const { localPort, remote, packets } = most;
  const to = remote === null ? 'several peers' : remote;
  return ` Most resets: ${packets} from port ${localPort ?? '?'}, to ${to}.`;
}
