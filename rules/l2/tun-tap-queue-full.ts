import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { packetsOf, type DropCapture } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding, type JudgeWindow } from '../../src/model/rule.ts';
import { onlyToGroups } from '../to-groups.ts';
import { isChatter } from './chatter.ts';
import { claimsAt, dropsAt, settledLinks, type SettledLink } from './device-drops.ts';

const FULL = {
  reasons: ['FULL_RING', 'NOT_SPECIFIED'],
  locations: ['tun_net_xmit', 'tap_handle_frame'],
};
/** Each packet that waits may hold a few KiB, and delays those behind it. */
const LONGEST_QUEUE = 10_000;

export default defineRule({
  id: 'tun-tap-queue-full',
  title: 'A virtual machine or VPN program does not take its packets fast enough',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A virtual machine or a VPN loses packets. On the host `tx dropped` of its tap or tun device (`vnet0`, `tap0`, `tun0`) rises, while `tc -s qdisc` counts no drops.',
    kernel:
      'What is sent into a tun or tap device waits in a ring until the program behind it reads. The ring has room for as many packets as `txqueuelen`; `tun_net_xmit` (drivers/net/tun.c) drops what does not fit: `FULL_RING`. For macvtap that is `tap_handle_frame` (drivers/net/tap.c).',
    confirm:
      '`ip -s link show INTERFACE` twice: TX dropped rises. `ip -d link show INTERFACE` shows `tun` and `qlen`. `top` shows whether the program (qemu, openvpn …) or the guest is busy.',
    fix: 'Give the reader more: vhost-net, several queues, more virtual CPUs, a faster cipher. `ip link set INTERFACE txqueuelen N` bridges short bursts only; it costs memory and delay.',
    normal:
      'While a virtual machine is paused or boots: broadcasts of the network fill the ring and are lost.',
    references: [
      'drivers/net/tun.c tun_net_xmit (Linux 6.18)',
      'drivers/net/tap.c tap_handle_frame (Linux 6.18)',
    ],
  },
  judge({ link, drops }, window) {
    return [
      {
        kind: 'benign',
        text: 'Packets that the filter of a tun or tap device refused, as its program asked for, or that the program wrote damaged (it was told).',
        claims: [
          { reason: ['TAP_FILTER', 'TAP_TXFILTER', 'SOCKET_FILTER'], location: FULL.locations },
          { reason: ['DEV_HDR', 'HDR_TRUNC'], location: 'tun_get_user' },
        ],
      },
      ...settledLinks(link).flatMap((device) => finding(device, drops, window)),
    ];
  },
});

function finding(
  { name, before, now }: SettledLink,
  capture: DropCapture | undefined,
  window: JudgeWindow,
): readonly CauseFinding[] {
  if (now.kind !== 'tun') return [];
  const counted = rise(before.txDropped, now.txDropped);
  const full = dropsAt(capture, FULL, name);
  const packets = capture === undefined ? counted : Math.min(counted, packetsOf(full));
  if (packets === 0) return [];
  const read = rise(before.txPackets, now.txPackets);
  return [
    {
      kind: 'cause',
      confidence: capture === undefined ? 'likely' : 'certain',
      packets,
      traffic: { packets: packets + read, what: `packets to be read from ${name}` },
      ...(isChatter(packets, window) || onlyToGroups(full) === true
        ? { severityAtMost: 'notice' as const }
        : {}),
      scope: { interface: name },
      because: [
        {
          source: `/sys/class/net/${name}/statistics/tx_dropped`,
          text: `${packets} packets found the ring of ${name} full; the program behind it read ${read}`,
          first: String(before.txDropped),
          last: String(now.txDropped),
        },
        ...(now.txQueueLength === undefined
          ? []
          : [
              {
                source: `ip -d link show ${name}`,
                text: `${now.txQueueLength} packets may wait`,
                last: String(now.txQueueLength),
              },
            ]),
      ],
      means:
        read === 0
          ? `The program behind ${name} (a virtual machine, a VPN) reads nothing at all: it is paused, or it hangs.`
          : `The program behind ${name} (a virtual machine, a VPN) reads more slowly than packets come.`,
      rulesOut:
        capture === undefined
          ? []
          : [{ id: 'qdisc-overlimit', because: 'they passed the queue and died at the device' }],
      fixes:
        read === 0 ? [wakeReader(name)] : [longerQueue(name, now.txQueueLength), help(name)].flat(),
      claims: claimsAt(FULL, { interface: name, packets }),
    },
  ];
}

function wakeReader(name: string): Fix {
  return {
    id: `wake-reader-${name}`,
    title: `Find out why nobody reads from ${name}`,
    risk: 'disruptive',
    cost: 'whatever a restart of that program or virtual machine costs',
    takesEffect: 'at-once',
    steps: [
      {
        kind: 'manual',
        text: `Look which program has ${name} open (grep -l ${name} /proc/[0-9]*/fdinfo/*), and whether it or its virtual machine is paused or hangs. A longer queue does not help.`,
      },
    ],
  };
}

function longerQueue(name: string, length: number | undefined): readonly Fix[] {
  if (length === undefined || length < 1 || length >= LONGEST_QUEUE) return [];
  const longer = Math.min(2 * length, LONGEST_QUEUE);
  return [
    {
      id: `longer-queue-${name}`,
      title: `Let ${longer} packets wait for the reader of ${name} instead of ${length}`,
      risk: 'safe',
      cost: 'memory and delay while the queue is full; it helps against bursts only',
      takesEffect: 'at-once',
      steps: [
        {
          kind: 'command',
          argv: ['ip', 'link', 'set', 'dev', name, 'txqueuelen', String(longer)],
          why: 'the ring has as many places',
        },
      ],
      expect: {
        counter: `link ${name}.tx_dropped`,
        change: 'stops-rising',
        traffic: `link ${name}.tx_packets`,
      },
    },
  ];
}

function help(name: string): Fix {
  return {
    id: `faster-reader-${name}`,
    title: `Make the reader of ${name} faster`,
    risk: 'disruptive',
    cost: 'CPU time; mostly a restart of the virtual machine or VPN',
    takesEffect: 'at-once',
    steps: [
      {
        kind: 'manual',
        text: 'Virtual machine: vhost-net, several queues, more virtual CPUs, less load beside it. VPN: a faster cipher, several threads, or one in the kernel (WireGuard).',
      },
    ],
  };
}
