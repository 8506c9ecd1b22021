import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import sockets from '../../checks/sockets.ts';
import sysctl from '../../checks/sysctl.ts';
import { defineRule, type Finding } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { rises } from '../protocol-counters.ts';
import { portsByFlows, refusedFindings } from '../socket/refused-port.ts';

const LOCATIONS = ['__udp4_lib_rcv', '__udp6_lib_rcv', 'udp_rcv', 'udpv6_rcv'];
const COUNTERS = ['Udp.NoPorts', 'Udp6.NoPorts'];

export default defineRule({
  id: 'no-socket-udp',
  title: 'UDP datagrams for ports that nobody listens on',
  needs: { snmp },
  wants: { drops, sockets, sysctl },
  reviewed: '2026-11-22',
  explain: {
    see: 'Clients of UDP get ICMP "port unreachable", or just no answer.',
    kernel:
      '`__udp4_lib_rcv` (net/ipv4/udp.c) finds no socket for the datagram, drops it with the reason `NO_SOCKET`, counts it in `Udp NoPorts` and tells the sender by ICMP.',
    confirm: '`ss -lnu` lists what listens; `nstat -az UdpNoPorts Udp6NoPorts` counts.',
    fix: 'If the port should be open: start the service, or let it listen on the right address and in the right network namespace.',
    normal:
      'Port scans, answers that come after the program stopped waiting, and services that are restarted.',
    references: ['net/ipv4/udp.c __udp4_lib_rcv (Linux 6.18)'],
  },
  judge({ snmp, drops, sockets, sysctl }, window) {
    const noPorts = rises(snmp, COUNTERS);
    const benign: Finding = {
      kind: 'benign',
      text: 'UDP datagrams for ports that nobody listens on, such as answers that came too late. The sender is told by ICMP.',
      claims: [
        { reason: 'NO_SOCKET', location: LOCATIONS },
        // Bad checksums and multicast end in the same function.
        withoutReasons({ location: LOCATIONS, packets: noPorts }),
      ],
    };
    return [
      benign,
      ...refusedFindings({
        protocol: 'UDP',
        locations: LOCATIONS,
        ports: portsByFlows(drops, LOCATIONS),
        sockets: [...(sockets?.last.udp.values() ?? [])].filter(({ peer }) => peer === null),
        traffic: {
          packets: noPorts + rises(snmp, ['Udp.InDatagrams', 'Udp6.InDatagrams']),
          what: 'UDP datagrams received',
        },
        sysctl,
        window,
      }),
    ];
  },
});
