import kernelLog from '../../checks/kernel-log.ts';
import link, { type Link } from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding, type JudgeWindow } from '../../src/model/rule.ts';
import { withKernelWords } from '../kernel-messages.ts';
import { waitingPorts, type WaitingPort } from './bond-ports.ts';
import { isChatter } from './chatter.ts';
import { settledLinks } from './device-drops.ts';

export default defineRule({
  id: 'bond-degraded',
  title: 'A bond runs on fewer ports than it has',
  needs: { link },
  wants: { kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'Less bandwidth than there should be, or some connections work and others do not.',
    kernel:
      'In mode 802.3ad only ports of the active aggregator receive; what reaches another port is not handed on (`bond_handle_frame`, drivers/net/bonding/bond_main.c) and counts in rx_nohandler. A port is in another aggregator when the switch does not speak LACP with it, or takes it for part of another bond.',
    confirm:
      '`cat /proc/net/bonding/BOND`: MII Status, Aggregator ID (the same for all ports), Partner Mac Address (not zero).',
    fix: 'Make the switch treat these ports as one LACP group; mend cable or switch port of the one that is down. Set `miimon 100`, so that a dead link is noticed.',
    normal: 'A port that is unplugged on purpose.',
    references: [
      'drivers/net/bonding/bond_main.c bond_handle_frame (Linux 6.18)',
      'Documentation/networking/bonding.rst',
    ],
  },
  judge({ link, kernelLog }, window) {
    const outside = waitingPorts(settledLinks(link), link.last).filter(
      ({ mode }) => mode === '802.3ad',
    );
    const findings = [
      ...outside.flatMap((port) =>
        outsideGroup(port, link.last.interfaces.get(port.now.master ?? ''), window),
      ),
      ...[...link.last.interfaces].flatMap(([name, now]) => deadPort(name, now)),
    ];
    return withKernelWords(findings, kernelLog, 'bond');
  },
});

function outsideGroup(
  { name, before, now }: WaitingPort,
  bond: Link | undefined,
  window: JudgeWindow,
): readonly CauseFinding[] {
  const packets = rise(before.rxNoHandler, now.rxNoHandler);
  if (isChatter(packets, window)) return [];
  const master = now.master ?? 'its bond';
  const elsewhere =
    bond?.aggregator !== undefined &&
    now.aggregator !== undefined &&
    bond.aggregator !== now.aggregator;
  return [
    {
      kind: 'cause',
      confidence: elsewhere ? 'certain' : 'likely',
      packets,
      traffic: {
        packets: Math.max(packets, rise(before.rxPackets, now.rxPackets)),
        what: `frames received by ${name}`,
      },
      severityAtMost: 'warning',
      scope: { interface: name },
      because: [
        {
          source: `/sys/class/net/${name}/statistics/rx_nohandler`,
          text: `${packets} frames reached ${name} and were not handed to ${master}`,
          first: String(before.rxNoHandler),
          last: String(now.rxNoHandler),
        },
        ...(elsewhere
          ? [
              {
                source: `/proc/net/bonding/${master}`,
                text: `${name} is in aggregator ${now.aggregator}, ${master} uses ${bond.aggregator}`,
              },
            ]
          : []),
      ],
      means: `${name} is a port of ${master} (802.3ad), but not of the group in use. The switch sends traffic there that is lost.`,
      rulesOut: [
        {
          id: 'bond-inactive-slave',
          because: '802.3ad has no standby ports: all of them should receive',
        },
      ],
      fixes: [
        {
          id: `mend-lacp-${name}`,
          title: `Bring ${name} into the group of ${master}`,
          risk: 'disruptive',
          cost: 'the link goes down for a moment',
          takesEffect: 'at-once',
          steps: [
            {
              kind: 'manual',
              text: `Look at the LACP group of the switch port behind ${name}; compare Aggregator ID and Partner Mac Address in /proc/net/bonding/${master}.`,
            },
          ],
        },
      ],
      claims: [
        {
          reason: 'UNHANDLED_PROTO',
          location: '__netif_receive_skb_core',
          interface: name,
          packets,
        },
      ],
    },
  ];
}

/** No packets are lost by it, as far as this host can tell. */
function deadPort(name: string, { master, miiStatus, up }: Link): readonly CauseFinding[] {
  if (!up || miiStatus !== 'DOWN') return [];
  return [
    {
      kind: 'cause',
      confidence: 'possible',
      packets: 0,
      severityAtMost: 'notice',
      scope: { interface: name },
      because: [
        {
          source: `/proc/net/bonding/${master ?? ''}`,
          text: `MII Status of ${name}: down`,
          last: 'down',
        },
      ],
      means: `${name} has no link, so that ${master ?? 'its bond'} runs without it: there is less bandwidth, and less to fall back on.`,
      rulesOut: [],
      fixes: [],
      claims: [],
    },
  ];
}
