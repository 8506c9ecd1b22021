import cpu from '../../checks/cpu.ts';
import softnet from '../../checks/softnet.ts';
import { defineRule } from '../../src/model/rule.ts';
import { SQUEEZES_PER_SECOND } from './budget-fix.ts';
import { cpuShares, starvedCpu } from './cpu-shares.ts';
import { softnetRises, sumOf, worstCpu } from './softnet-rises.ts';

/** The alarm's rate is a minute's mean. A burst of a second says nothing of it: in a shorter window it takes as many as in this. */
const SHORTEST_MEAN_SECONDS = 10;

export default defineRule({
  id: 'softnet-squeeze',
  title: 'The kernel runs out of time to take packets in',
  needs: { softnet },
  wants: { cpu },
  reviewed: '2026-11-22',
  // Without loss it is a hint; with one of these it is part of the same overload.
  consequenceOf: ['nic-rx-ring', 'softnet-backlog', 'cpu-softirq-saturation', 'irq-rss-imbalance'],
  explain: {
    see: 'Column 3 of `/proc/net/softnet_stat` (`time_squeeze`) rises. Nothing is lost by that alone.',
    kernel:
      '`net_rx_action` (net/core/dev.c) stops after `net.core.netdev_budget` packets or `net.core.netdev_budget_usecs` and leaves the rest for the next round. It counts that as a squeeze. The packets wait; they are lost only if a ring or queue overflows meanwhile.',
    confirm:
      'Column 3 of `/proc/net/softnet_stat`, next to a real drop counter: column 2, or `rx_missed_errors`.',
    fix: 'Only if packets are lost as well: double `net.core.netdev_budget` and `net.core.netdev_budget_usecs`. Programs on that CPU get less time.',
    normal:
      'A few a second are normal on any busy host. `time_squeeze` is not a drop counter. In a virtual machine whose CPU time the hypervisor takes (`steal`) the time of a round runs out by that alone: whydrop then does not tell it.',
    references: [
      'net/core/dev.c net_rx_action (Linux 6.18)',
      'Documentation/admin-guide/sysctl/net.rst, netdev_budget',
    ],
  },
  judge({ softnet, cpu }, { seconds }) {
    const rises = softnetRises(softnet);
    const squeezes = sumOf(rises, 'timeSqueeze');
    const worst = worstCpu(rises, 'timeSqueeze');
    const atMost = SQUEEZES_PER_SECOND * Math.max(seconds, SHORTEST_MEAN_SECONDS);
    if (worst === undefined || squeezes <= atMost) return [];
    // The clock of net_rx_action does not stop while the hypervisor runs something else.
    if (cpu !== undefined && starvedCpu(cpuShares(cpu)) !== undefined) return [];
    return [
      {
        kind: 'cause',
        confidence: 'possible',
        packets: 0,
        severityAtMost: 'notice',
        scope: { cpu: worst.cpu },
        because: [
          {
            source: '/proc/net/softnet_stat column 3 (time_squeeze)',
            text: `${squeezes} times the budget ran out, ${worst.timeSqueeze} of them on CPU ${worst.cpu}`,
          },
        ],
        means: `CPU ${worst.cpu} often runs out of its budget before it has taken all waiting packets. They wait longer; this alone loses none.`,
        rulesOut: [],
        // A larger budget cures nothing here: it is offered with the loss, by nic-rx-ring.
        fixes: [],
        claims: [],
      },
    ];
  },
});
