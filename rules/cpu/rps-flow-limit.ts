import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import softnet from '../../checks/softnet.ts';
import sysctl from '../../checks/sysctl.ts';
import { defineRule } from '../../src/model/rule.ts';
import { backlogFix, backlogKey } from './backlog-fix.ts';
import { refusedHere, softnetRises, sumOf, worstCpu } from './softnet-rises.ts';

export default defineRule({
  id: 'rps-flow-limit',
  title: 'One flow fills the input queue of a CPU and is held back',
  needs: { softnet },
  wants: { drops, sysctl, link },
  reviewed: '2026-11-22',
  explain: {
    see: 'One heavy flow loses packets, the others do not. Column 11 of `/proc/net/softnet_stat` rises together with column 2.',
    kernel:
      'When the queue of a CPU is more than half full, `skb_flow_limit` (net/core/dev.c) drops packets of a flow that makes up most of it, so that small flows survive. It works only on CPUs named in `net.core.flow_limit_cpu_bitmap`, so somebody switched it on. The drop reason is `CPU_BACKLOG`, as for a full queue.',
    confirm:
      'Column 11 of `/proc/net/softnet_stat`; `sysctl net.core.flow_limit_cpu_bitmap net.core.flow_limit_table_len`.',
    fix: 'If the flow should not be held back: a longer `net.core.netdev_max_backlog`, or clear the bit of that CPU in `net.core.flow_limit_cpu_bitmap`. Then the flow can crowd out the others.',
    normal:
      'Usually intended: the limit sacrifices one elephant flow, or an attack, to keep the rest alive.',
    references: [
      'net/core/dev.c skb_flow_limit (Linux 6.18)',
      'Documentation/networking/scaling.rst, RPS Flow Limit',
    ],
  },
  judge({ softnet, drops, sysctl, link }, window) {
    const rises = softnetRises(softnet);
    const worst = worstCpu(rises, 'flowLimited');
    if (worst === undefined) return [];
    const onAllCpus = sumOf(rises, 'flowLimited');
    const packets = refusedHere(rises, { link, drops }, window).flowLimited;
    if (packets === 0) return [];

    const limit = sysctl?.last.number(backlogKey);
    const bitmap = sysctl?.last.text('net.core.flow_limit_cpu_bitmap');
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        packets,
        traffic: {
          packets: sumOf(rises, 'processed') + sumOf(rises, 'dropped'),
          what: 'packets all CPUs took in',
        },
        // Working as set up: it protects the other flows.
        severityAtMost: 'warning',
        scope: { cpu: worst.cpu },
        because: [
          {
            source: '/proc/net/softnet_stat column 11 (flow_limit_count)',
            text: `${onAllCpus} packets of a dominant flow refused, ${worst.flowLimited} of them when CPU ${worst.cpu} passed them on`,
          },
          ...(bitmap === undefined
            ? []
            : [
                {
                  source: 'net.core.flow_limit_cpu_bitmap',
                  text: `the flow limit is on for CPUs ${bitmap}`,
                  last: bitmap,
                },
              ]),
        ],
        means:
          'One flow sends more than its CPU can take, and the flow limit drops its packets so that other flows get through.',
        rulesOut: [
          {
            id: 'softnet-backlog',
            because: 'these packets were refused for their flow, before the queue was full',
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
