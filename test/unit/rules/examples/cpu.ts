import { dropped, links, settings, softnetRise } from '../evidence.ts';
import { cpuTimes, type Example } from '../example.ts';
import { cardWindow } from '../nic-evidence.ts';

/** Its ring runs empty, which is what makes a busy CPU a cause. */
const losingCard = cardWindow({ driver: 'igb', statistics: { rx_queue_0_drops: 100 } });

/** Shares of a CPU in percent; five seconds are 500 ticks. */
const ticks = (percent: number): number => percent * 5;

export default [
  {
    rule: 'softnet-backlog',
    evidence: (packets) => ({
      softnet: softnetRise([{ processed: 5000, dropped: packets }, { processed: 5000 }]),
      drops: dropped('CPU_BACKLOG', 'enqueue_to_backlog', packets),
      link: links({ veth0: { kind: 'veth', rxPackets: 10_000n, rxDropped: BigInt(packets) } }),
      sysctl: settings({ 'net.core.netdev_max_backlog': 1000 }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'rps-flow-limit',
    evidence: (packets) => ({
      softnet: softnetRise([{ processed: 5000, dropped: packets, flowLimit: packets }]),
      drops: dropped('CPU_BACKLOG', 'enqueue_to_backlog', packets),
      sysctl: settings({ 'net.core.netdev_max_backlog': 1000 }),
    }),
    causeFrom: 1,
  },
  {
    rule: 'softnet-squeeze',
    evidence: (timeSqueeze) => ({ softnet: softnetRise([{ processed: 5000, timeSqueeze }]) }),
    causeFrom: 101,
  },
  {
    rule: 'cpu-softirq-saturation',
    evidence: (percent) => ({
      ...losingCard,
      cpu: cpuTimes([{}, { softirq: ticks(percent) }]),
      softnet: softnetRise([{ processed: 4000 }, { processed: 50_000 }]),
    }),
    causeFrom: 80,
    clear: 90,
    beside: ['nic-rx-ring'],
  },
  {
    // Few packets cannot fill a CPU.
    rule: 'cpu-softirq-saturation',
    evidence: (packets) => ({
      ...losingCard,
      cpu: cpuTimes([{}, { softirq: ticks(90) }]),
      softnet: softnetRise([{ processed: 100 }, { processed: packets }]),
    }),
    causeFrom: 5000,
    clear: 50_000,
    beside: ['nic-rx-ring'],
  },
  {
    rule: 'irq-rss-imbalance',
    evidence: (percent) => {
      const rest = (100 - percent) * 100;
      return cardWindow({
        driver: 'igb',
        statistics: {
          rx_queue_0_drops: 100,
          rx_queue_0_packets: percent * 300,
          rx_queue_1_packets: rest,
          rx_queue_2_packets: rest,
          rx_queue_3_packets: rest,
        },
      });
    },
    causeFrom: 51,
    clear: 90,
    beside: ['nic-rx-ring'],
  },
  {
    // Few packets are spread badly by chance.
    rule: 'irq-rss-imbalance',
    evidence: (packets) =>
      cardWindow({
        driver: 'igb',
        statistics: {
          rx_queue_0_drops: 100,
          rx_queue_0_packets: packets,
          rx_queue_1_packets: 0,
          rx_queue_2_packets: 0,
          rx_queue_3_packets: 0,
        },
      }),
    causeFrom: 1000,
    clear: 5000,
    beside: ['nic-rx-ring'],
  },
  {
    // One CPU for all queues.
    rule: 'irq-rss-imbalance',
    evidence: (percent) => ({
      ...cardWindow({
        driver: 'igb',
        statistics: { rx_queue_0_drops: 100 },
        settings: { rxQueues: 4 },
      }),
      softnet: softnetRise([{ processed: (100 - percent) * 100 }, { processed: percent * 100 }]),
    }),
    causeFrom: 91,
    clear: 99,
    beside: ['nic-rx-ring'],
  },
  {
    rule: 'vm-starved',
    evidence: (percent) => ({ ...losingCard, cpu: cpuTimes([{}, { steal: ticks(percent) }]) }),
    causeFrom: 5,
    clear: 40,
    beside: ['nic-rx-ring'],
  },
  {
    // In fewer ticks a share says nothing.
    rule: 'vm-starved',
    evidence: (ticks) => ({ ...losingCard, cpu: cpuTimes([{ steal: ticks, ticks }]) }),
    causeFrom: 50,
    clear: 400,
    beside: ['nic-rx-ring'],
  },
] satisfies readonly Example[];
