import type { Fix } from '../../src/model/fix.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';

export const backlogKey = 'net.core.netdev_max_backlog';

/** The kernel's own default; a host below it was tuned down. */
const DEFAULT_BACKLOG = 1000;
/** Beyond this a longer queue adds delay, not throughput: the CPU is the bottleneck. */
const LONGEST_USEFUL_BACKLOG = 16_000;
/** A packet of Ethernet size is charged about this much with its buffer (skb truesize). */
const PACKET_BYTES = 2304;

/** A longer input queue per CPU, from the limit that is in force; more CPUs when it is long already. */
export function backlogFix(limit: number): Fix {
  const to = Math.min(LONGEST_USEFUL_BACKLOG, Math.max(2 * limit, DEFAULT_BACKLOG));
  if (to <= limit) {
    return {
      id: 'spread-load',
      title: 'Spread the packets over more CPUs',
      risk: 'caution',
      cost: 'flows move to other CPUs; for a moment their packets may arrive out of order',
      takesEffect: 'at-once',
      steps: [
        {
          kind: 'manual',
          text: `The queue is already ${limit} long; a longer one only adds delay. Give the interface more RSS queues (ethtool -L), or another RPS mask (/sys/class/net/IF/queues/rx-*/rps_cpus).`,
        },
      ],
    };
  }
  const megabytes = (((to - limit) * PACKET_BYTES) / 1e6).toFixed(1);
  return {
    id: 'raise-backlog',
    title: `Let each CPU queue ${to} packets instead of ${limit}`,
    risk: 'safe',
    cost: `each CPU may hold ${to - limit} more packets (about ${megabytes} MB), and they wait longer`,
    takesEffect: 'at-once',
    steps: [sysctlStep(backlogKey, limit, to)],
    expect: { counter: 'softnet dropped', change: 'stops-rising', traffic: 'softnet processed' },
  };
}
