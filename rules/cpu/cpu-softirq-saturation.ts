import cpu from '../../checks/cpu.ts';
import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import softnet from '../../checks/softnet.ts';
import { defineRule } from '../../src/model/rule.ts';
import { ringLosses } from '../nic/ring-loss.ts';
import { SQUEEZES_PER_SECOND } from './budget-fix.ts';
import { cpuShares, percent } from './cpu-shares.ts';
import { softnetRises, sumOf } from './softnet-rises.ts';

/** Then hardly anything else runs on that CPU; a fifth is left to programs, with which ksoftirqd shares it. */
const SATURATED = 0.8;
/** Fewer packets than this cannot fill a CPU, at a microsecond or ten each: timers or a block device do. */
const PACKETS_PER_SECOND = 1000;

export default defineRule({
  id: 'cpu-softirq-saturation',
  title: 'One CPU is busy with nothing but packets',
  needs: { cpu, softnet },
  wants: { link, ethtool },
  reviewed: '2026-11-22',
  consequenceOf: ['irq-rss-imbalance', 'vm-starved'],
  explain: {
    see: 'Packets are lost while most CPUs are idle. `top` shows one CPU near 100 % `si`, and `ksoftirqd/N` at the top.',
    kernel:
      'Packets are taken in by soft interrupts, on the CPU that got the interrupt of the receive queue (`net_rx_action`, net/core/dev.c), and go up to the socket there. What one CPU cannot do, no other does for it, unless there are more queues, RPS or threaded NAPI. Then rings and queues run over.',
    confirm:
      '`mpstat -P ALL 1` (column %soft); column 1 of `/proc/net/softnet_stat` shows which CPU takes how many packets in; `perf top -C N` shows what it is busy with.',
    fix: 'Spread the packets: more queues (`ethtool -L`), interrupts on different CPUs, RPS for a card with one queue. Do less for each packet: GRO, nftables sets instead of long rule lists. Longer rings and queues only delay the loss.',
    normal: 'For moments, in bursts. Without loss it is only a bottleneck.',
    references: ['Documentation/networking/scaling.rst', 'fs/proc/stat.c show_stat (Linux 6.18)'],
  },
  judge({ cpu, softnet, link, ethtool }, { seconds }) {
    const rises = softnetRises(softnet);
    const busiest = cpuShares(cpu)
      .filter(({ softirq }) => softirq >= SATURATED)
      .map((share) => ({ ...share, work: rises.find((rise) => rise.cpu === share.cpu) }))
      .sort((a, b) => (b.work?.processed ?? 0) - (a.work?.processed ?? 0))[0];
    const work = busiest?.work;
    if (busiest === undefined || work === undefined) return [];
    if (work.processed < PACKETS_PER_SECOND * seconds) return [];
    const lost = link !== undefined && ringLosses(link, ethtool).length > 0;
    const squeezed = work.timeSqueeze > SQUEEZES_PER_SECOND * seconds;
    if (!lost && !squeezed) return [];

    const all = sumOf(rises, 'processed');
    const most = work.processed > all / 2;
    return [
      {
        kind: 'cause',
        confidence: lost && most ? 'likely' : 'possible',
        // Ring and queue count what is lost by it.
        packets: 0,
        scope: { cpu: busiest.cpu },
        because: [
          {
            source: '/proc/stat',
            text: `CPU ${busiest.cpu} spent ${percent(busiest.softirq)} of its time in soft interrupts`,
          },
          {
            source: '/proc/net/softnet_stat column 1 (processed)',
            text: `CPU ${busiest.cpu} took in ${work.processed} of ${all} packets`,
          },
        ],
        means: `CPU ${busiest.cpu} takes packets in all the time and cannot keep up; more memory for waiting packets does not help.`,
        rulesOut: [],
        fixes: [
          {
            id: 'spread-load',
            title: `Take work from CPU ${busiest.cpu}`,
            risk: 'disruptive',
            cost: 'most drivers stop and start the interface when the number of queues changes; flows move to other CPUs',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'Let more CPUs take packets in: more queues (ethtool -l and -L), their interrupts on different CPUs (irqbalance, /proc/irq/N/smp_affinity_list), or RPS for a card with one queue (/sys/class/net/IF/queues/rx-*/rps_cpus). One flow stays on one CPU. Let each packet cost less: GRO (ethtool -K IF gro on), nftables sets instead of long rule lists.',
              },
            ],
          },
        ],
        claims: [],
      },
    ];
  },
});
