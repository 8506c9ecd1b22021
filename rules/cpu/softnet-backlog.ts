import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import softnet from '../../checks/softnet.ts';
import sysctl from '../../checks/sysctl.ts';
import { countDrops } from '../../src/model/drops.ts';
import { defineRule } from '../../src/model/rule.ts';
import { backlogFix, backlogKey } from './backlog-fix.ts';
import { refusedHere, softnetRises, sumOf, worstCpu } from './softnet-rises.ts';

/** One CPU that drops this share of all is named. */
const ONE_CPU_SHARE = 0.9;

export default defineRule({
  id: 'softnet-backlog',
  title: 'The input queue of a CPU overflows',
  needs: { softnet },
  wants: { drops, sysctl, link },
  reviewed: '2026-11-22',
  explain: {
    see: 'Packets are lost in bursts while the CPUs look fairly idle. The second column of `/proc/net/softnet_stat` rises, and so does `rx_dropped` of the interface (for a veth, `tx_dropped` of its peer too).',
    kernel:
      'Packets that do not come straight from a NAPI driver wait in a queue per CPU: those moved by RPS, and those of veth, tun and loopback. `enqueue_to_backlog` (net/core/dev.c) drops a packet when the queue of the chosen CPU holds more than `net.core.netdev_max_backlog`, with the reason `CPU_BACKLOG`.',
    confirm:
      'Watch column 2: `watch -d cat /proc/net/softnet_stat` (one line a CPU, hexadecimal). Read the limit: `sysctl net.core.netdev_max_backlog`.',
    fix: 'Double `net.core.netdev_max_backlog`. Each waiting packet keeps its memory and waits longer, so stop near 16,000. If one CPU drops alone, spread the load instead: more RSS queues, another RPS mask, threaded NAPI.',
    normal:
      'Never. But a plain NAPI driver without RPS does not use this queue at all: if `rx_missed_errors` rises and column 2 does not, this setting is irrelevant.',
    references: [
      'net/core/dev.c enqueue_to_backlog (Linux 6.18)',
      'Documentation/networking/scaling.rst, RPS',
      'Documentation/admin-guide/sysctl/net.rst, netdev_max_backlog',
    ],
  },
  judge({ softnet, drops, sysctl, link }, window) {
    const rises = softnetRises(softnet);
    const worst = worstCpu(rises, 'dropped');
    if (worst === undefined) return [];
    const refused = sumOf(rises, 'dropped');
    const heldBack = sumOf(rises, 'flowLimited');
    const packets = refusedHere(rises, { link, drops }, window).queueFull;
    if (packets === 0) return [];

    const seen = countDrops(drops, 'CPU_BACKLOG');
    const oneCpu = worst.dropped >= refused * ONE_CPU_SHARE;
    const limit = sysctl?.last.number(backlogKey);
    return [
      {
        kind: 'cause',
        confidence: drops?.hasReasons !== true || seen > 0 ? 'certain' : 'likely',
        packets,
        traffic: {
          packets: sumOf(rises, 'processed') + refused,
          what: 'packets all CPUs took in',
        },
        scope: oneCpu ? { cpu: worst.cpu } : {},
        because: [
          {
            source: '/proc/net/softnet_stat column 2 (dropped)',
            text: `${refused} packets refused, ${worst.dropped} of them by the queue of CPU ${worst.cpu}${heldBack > 0 ? `; ${heldBack} of all were held back by the flow limit` : ''}`,
          },
          ...(seen > 0
            ? [{ source: 'skb:kfree_skb', text: `${seen} drops with the reason CPU_BACKLOG` }]
            : []),
          ...(limit === undefined
            ? []
            : [
                { source: backlogKey, text: `a queue holds ${limit} packets`, last: String(limit) },
              ]),
        ],
        means: `Packets that wait for ${oneCpu ? `CPU ${worst.cpu}` : 'a CPU'} (RPS, veth, tun or loopback traffic) come faster than it takes them, and the queue is full.`,
        rulesOut: [
          {
            id: 'nic-rx-ring',
            because:
              'the packets had left the NIC: they died in enqueue_to_backlog, after the driver',
          },
        ],
        fixes: limit === undefined ? [] : [backlogFix(limit)],
        claims: [
          { reason: 'CPU_BACKLOG', packets },
          { reason: null, location: 'enqueue_to_backlog', packets },
        ],
      },
    ];
  },
});
