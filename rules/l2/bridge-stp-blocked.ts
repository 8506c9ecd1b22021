import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { defineRule, type Finding, type JudgeWindow } from '../../src/model/rule.ts';
import { bridgePorts } from './bridge-ports.ts';
import { isChatter } from './chatter.ts';
import { claimsAt, dropsAt, type SettledLink } from './device-drops.ts';

const CLOSED = {
  reasons: ['BRIDGE_INGRESS_STP_STATE', 'NOT_SPECIFIED'],
  locations: ['br_handle_frame'],
};

export default defineRule({
  id: 'bridge-stp-blocked',
  title: 'A bridge port does not forward',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A container, virtual machine or network behind a bridge port gets no answer, for the first 30 seconds or for ever. No counter of an interface rises.',
    kernel:
      '`br_handle_frame` (net/bridge/br_input.c) drops what comes in by a port that is not in the state forwarding (or learning): `BRIDGE_INGRESS_STP_STATE` since 6.14, without a reason before. With spanning tree a new port waits twice `forward_delay` (15 seconds) before it forwards.',
    confirm:
      '`bridge link` shows the state of each port; `ip -d link show BRIDGE` shows `stp_state` and `forward_delay`.',
    fix: 'Just started: wait, or shorten it with `ip link set BRIDGE type bridge forward_delay 200` (2 seconds; in hundredths). Where no loop is possible, as with containers only: `ip link set BRIDGE type bridge stp_state 0`. A port that is `disabled` was switched off by hand or by a daemon: `bridge link set dev PORT state 3`.',
    normal:
      'In the first 30 seconds of a port on a bridge with spanning tree; always on a port that spanning tree blocks because the link is redundant.',
    references: ['net/bridge/br_input.c br_handle_frame (Linux 6.18)'],
  },
  judge({ link, drops }, window) {
    if (drops === undefined) return [];
    return bridgePorts(link).flatMap((port) =>
      finding(port, drops, link.last.interfaces.get(port.now.master ?? '')?.stp === true, window),
    );
  },
});

function finding(
  { name, before, now }: SettledLink,
  capture: DropCapture,
  stp: boolean,
  window: JudgeWindow,
): readonly Finding[] {
  const state = now.portState;
  if (state === undefined || state === 'forwarding') return [];
  const received = rise(before.rxPackets, now.rxPackets);
  const seen = dropsAt(capture, CLOSED, name);
  const packets = Math.min(received, packetsOf(seen));
  if (packets === 0) return [];
  const claims = claimsAt(CLOSED, { interface: name, packets });
  if ((state === 'blocking' && stp) || isChatter(packets, window)) {
    return [
      {
        kind: 'benign',
        text: `Frames that came in by ${name}, which spanning tree or its administrator keeps closed (${state}).`,
        claims,
      },
    ];
  }
  const starting = state === 'listening' || state === 'learning';
  const bridge = now.master ?? 'the bridge';
  return [
    {
      kind: 'cause',
      confidence: seen.some(({ reason }) => reason === 'BRIDGE_INGRESS_STP_STATE')
        ? 'certain'
        : 'likely',
      packets,
      traffic: { packets: Math.max(received, packets), what: `frames received by ${name}` },
      severityAtMost: starting ? 'notice' : 'warning',
      scope: { interface: name },
      because: [
        {
          source: 'bridge link',
          text: `port ${name} of ${bridge} is in the state ${state}: ${packets} of ${received} frames were dropped`,
          last: state,
        },
      ],
      means: starting
        ? `${name} is a new port of ${bridge} and waits until spanning tree lets it forward, up to 30 seconds. It passes nothing until then.`
        : `${bridge} takes nothing from ${name}, because that port is in the state ${state}${stp ? '' : ', and no spanning tree of the kernel will change that'}.`,
      rulesOut: [],
      fixes: [
        {
          id: `open-port-${name}`,
          title: starting
            ? `Let ports of ${bridge} forward sooner`
            : `Let port ${name} of ${bridge} forward`,
          risk: 'disruptive',
          cost: 'a loop in the network, if there is a second way between its ends',
          takesEffect: 'at-once',
          steps: [
            {
              kind: 'manual',
              text: starting
                ? `If no loop is possible: ip link set ${bridge} type bridge forward_delay 200 (2 seconds), or stp_state 0.`
                : `Find out who closed it (a daemon for spanning tree, an administrator). If no loop is possible: bridge link set dev ${name} state 3.`,
            },
          ],
        },
      ],
      claims,
    },
  ];
}
