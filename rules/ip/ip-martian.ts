import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import snmp from '../../checks/snmp.ts';
import { packetsOf, type DropCapture, type DropFlow } from '../../src/model/drops.ts';
import { EtherType } from '../../src/model/drops.ts';
import { defineRule, type Claim } from '../../src/model/rule.ts';
import { kernelSaid } from '../kernel-messages.ts';
import {
  areStray,
  diedHere,
  dropsOf,
  knownByDrops,
  receivedPackets,
  seen,
  strays,
} from './evidence.ts';

const REASONS = ['IP_LOCALNET', 'IP_INVALID_SOURCE', 'IP_INVALID_DEST'];
/** Where kernels before 6.14 free them without a reason of their own. */
const LOCATIONS = ['ip_rcv_finish_core', 'ip_rcv_finish', 'ip_route_input_slow'];

export default defineRule({
  id: 'ip-martian',
  title: 'Packets arrive with addresses that cannot be',
  needs: { drops, snmp },
  wants: { kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'Packets that tcpdump shows reach no program. With `log_martians` on, the kernel log says `martian source` or `martian destination`. No counter of nstat moves.',
    kernel:
      '`ip_route_input_slow` (net/ipv4/route.c) refuses what no host may send to another: 127.0.0.0/8 on a real interface (`IP_LOCALNET`), a source that is multicast, 255.255.255.255 or 0.0.0.0 (`IP_INVALID_SOURCE`), the destination 0.0.0.0 (`IP_INVALID_DEST`). Before 6.14 there is no reason, only the function `ip_rcv_finish_core`.',
    confirm:
      '`tcpdump -eni INTERFACE "src net 127.0.0.0/8 or dst net 127.0.0.0/8 or src net 224.0.0.0/4 or src host 0.0.0.0"` shows the hardware address of the sender. `sysctl -w net.ipv4.conf.all.log_martians=1` logs them for a while; `/proc/net/stat/rt_cache` counts them for the whole machine, together with what the reverse-path filter refuses.',
    fix: 'Correct the sender. If a NAT rule of this host redirects to 127.0.0.1, redirect to an address of the interface instead, or set `net.ipv4.conf.INTERFACE.route_localnet=1`, which opens services on 127.0.0.1 to neighbours.',
    normal: 'A few, from scans and from machines that are just starting.',
    references: ['net/ipv4/route.c ip_route_input_slow (Linux 6.18)'],
  },
  judge({ drops, snmp, kernelLog }, window) {
    const named = dropsOf(drops, { reasons: REASONS });
    const unnamed = unnamedMartians(drops);
    const packets = Math.min(
      packetsOf(named) + unnamed,
      diedHere([...named, ...withoutName(drops)], snmp, window),
    );
    const claims: readonly Claim[] = [
      { reason: REASONS, packets },
      ...(unnamed > 0
        ? ['NOT_SPECIFIED', null].map((reason) => ({
            reason,
            location: LOCATIONS,
            protocol: EtherType.IPv4,
            packets: Math.min(unnamed, packets),
          }))
        : []),
    ];
    if (areStray(packets, window)) {
      return strays(
        'A few packets with addresses that cannot be, as scans send them.',
        claims,
        window,
      );
    }
    const sure = knownByDrops(window);
    const toLoopback = packetsOf(dropsOf(drops, { reasons: ['IP_LOCALNET'] }));
    return [
      {
        kind: 'cause',
        confidence: sure.confidence,
        packets,
        traffic: receivedPackets(snmp),
        // Somebody else's mistake, or a scan.
        severityAtMost: toLoopback > packets / 2 ? sure.most : 'notice',
        scope: {},
        because: [
          ...REASONS.flatMap((reason) =>
            seen(packetsOf(dropsOf(drops, { reasons: [reason] })), `${reason}: ${MEANS[reason]}`),
          ),
          ...seen(unnamed, 'of packets whose source or destination cannot be'),
          ...kernelSaid(kernelLog, 'martian'),
        ],
        means:
          'Another machine sends packets whose source or destination address is not valid on a network, and the kernel refuses them.',
        rulesOut: [
          { id: 'ip-rpfilter', because: 'the reverse-path filter has a reason of its own' },
        ],
        fixes: [
          {
            id: 'correct-the-sender',
            title: 'Find and correct the sender',
            risk: 'none',
            cost: 'none here',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'tcpdump -eni INTERFACE shows the hardware address the packets come from. If a NAT rule of this host sends them to 127.0.0.1, let it send them to an address of the interface.',
              },
            ],
          },
        ],
        claims,
      },
    ];
  },
});

const MEANS: Readonly<Record<string, string>> = {
  IP_LOCALNET: 'a loopback address (127.0.0.0/8) from outside',
  IP_INVALID_SOURCE: 'the source is multicast, broadcast or 0.0.0.0',
  IP_INVALID_DEST: 'the destination is 0.0.0.0',
};

function withoutName(capture: DropCapture) {
  return dropsOf(capture, {
    reasons: ['NOT_SPECIFIED', null],
    locations: LOCATIONS,
    protocol: EtherType.IPv4,
  });
}

/** On kernels that do not name the reason, the addresses tell, where the capture has them. */
function unnamedMartians(capture: DropCapture): number {
  const flows = withoutName(capture).flatMap(({ details }) => details?.topFlows ?? []);
  return packetsOf(flows.filter(isMartian));
}

function isMartian({ source, destination }: DropFlow): boolean {
  const [first = 0] = source.split('.').map(Number);
  const loopback = [source, destination].some((address) => address.startsWith('127.'));
  return loopback || first === 0 || first >= 224 || destination.startsWith('0.');
}
