import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import link from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { defineRule, type CauseFinding, type JudgeWindow } from '../../src/model/rule.ts';
import { toldByLog } from '../kernel-messages.ts';
import { bridgePorts } from './bridge-ports.ts';
import { isChatter } from './chatter.ts';
import { claimsAt, dropsAt, settledLinks, type SettledLink } from './device-drops.ts';
import { countReasons } from '../benign.ts';
import { knownByDrops } from '../ip/evidence.ts';

const LOOP =
  'Frames come back with the address of this host as their source: the network has a loop, or another machine has the same MAC address (a cloned virtual machine).';
const CIRCLE =
  'Virtual devices send into each other in a circle (a tunnel through itself, a bridge of VLANs of itself). The kernel broke the circle and dropped the packets.';
const BAD_SOURCE =
  'a source address that no host can have (multicast, zero): a broken sender or a badly made packet.';
const MEANINGS: Readonly<Record<string, string>> = {
  MAC_INVALID_SOURCE: `Frames arrive at a bridge or virtual device with ${BAD_SOURCE}`,
  LOCAL_MAC: LOOP,
  RECURSION_LIMIT: CIRCLE,
};

/** Before 6.13 without a reason, as frames that come in by a port that does not forward (bridge-stp-blocked). */
const UNNAMED = { reasons: ['NOT_SPECIFIED'], locations: ['br_handle_frame'] };
/** What a bridge drops in the same place, and should: no bridge passes them on. */
const PAUSE_FRAME = 0x8808;

export default defineRule({
  id: 'bridge-loop-or-bad-mac',
  title: 'A loop, or an impossible source address',
  needs: { drops, link },
  wants: { kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'The network is slow or comes and goes; the kernel log says `received packet on … with own address as source address` or `Dead loop on virtual device`.',
    kernel:
      '`br_handle_frame` (net/bridge/br_input.c) drops frames whose source address is not a valid one: `MAC_INVALID_SOURCE` (6.13; before that, no reason is given). Tunnels drop frames from their own address: `LOCAL_MAC`. `__dev_queue_xmit` (net/core/dev.c) drops what devices send round in a circle: `RECURSION_LIMIT`, on kernels that have that reason.',
    confirm:
      '`journalctl -k | grep -e "own address" -e "Dead loop"`; `tcpdump -eni INTERFACE` shows source addresses and repeated frames; `bridge -s fdb` shows addresses that jump between ports.',
    fix: 'Remove the second link or switch spanning tree on (`ip link set BRIDGE type bridge stp_state 1`); give each machine a MAC address of its own; let the tunnel go out by another interface than itself.',
    normal: 'Never.',
    references: [
      'net/bridge/br_input.c br_handle_frame (Linux 6.18)',
      'net/core/dev.c __dev_queue_xmit (Linux 6.18)',
    ],
  },
  judge({ drops, link, kernelLog }, window) {
    const sure = knownByDrops(window);
    // No counter tells these; in a namespace through which fewer packets went they were not all lost.
    const passed = settledLinks(link).reduce(
      (sum, { before, now }) =>
        sum + rise(before.rxPackets, now.rxPackets) + rise(before.txPackets, now.txPackets),
      0,
    );
    const dropped = Object.entries(MEANINGS).flatMap(([reason, means]): readonly CauseFinding[] => {
      const packets = Math.min(passed, countReasons(drops, [reason]));
      if (packets === 0) return [];
      return [
        {
          kind: 'cause',
          confidence: sure.confidence,
          packets,
          traffic: { packets: passed, what: 'packets that passed the interfaces' },
          // A loop takes the whole network with it.
          severityAtMost:
            reason === 'MAC_INVALID_SOURCE' || window.severalNetns ? sure.most : 'critical',
          scope: {},
          because: [
            { source: 'skb:kfree_skb', text: `${packets} packets were dropped (${reason})` },
          ],
          means,
          rulesOut: [],
          fixes: [],
          claims: [{ reason, packets }],
        },
      ];
    });
    return [
      ...dropped,
      ...bridgePorts(link).flatMap((port) => unnamed(port, drops, window)),
      ...toldByLog(kernelLog, 'own-address', link.last, window, LOOP),
      ...toldByLog(kernelLog, 'dead-loop', link.last, window, CIRCLE),
    ];
  },
});

/** Frames that a port dropped though it forwards. Only where the capture tells interfaces. */
function unnamed(
  { name, before, now }: SettledLink,
  capture: DropCapture,
  window: JudgeWindow,
): readonly CauseFinding[] {
  if (now.portState !== 'forwarding') return [];
  const seen = dropsAt(capture, UNNAMED, name).filter(
    ({ protocol, details }) => details?.interface === name && protocol !== PAUSE_FRAME,
  );
  const received = rise(before.rxPackets, now.rxPackets);
  const packets = Math.min(received, packetsOf(seen));
  if (packets === 0) return [];
  return [
    {
      kind: 'cause',
      // A PREROUTING rule of ebtables-legacy drops in the same function.
      confidence: 'possible',
      packets,
      traffic: { packets: received, what: `frames received by ${name}` },
      severityAtMost: isChatter(packets, window) ? 'notice' : 'warning',
      scope: { interface: name },
      because: [
        {
          source: 'skb:kfree_skb',
          text: `${packets} frames from ${name} were refused at the door of the bridge, though the port forwards`,
        },
      ],
      means: `The frames that come in by ${name} have ${BAD_SOURCE} This kernel does not say so itself: see with tcpdump -eni ${name}.`,
      rulesOut: [{ id: 'bridge-stp-blocked', because: `${name} forwards` }],
      fixes: [],
      claims: claimsAt(UNNAMED, { interface: name, packets }),
    },
  ];
}
