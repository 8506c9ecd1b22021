import ethtool from '../../checks/ethtool.ts';
import interrupts, { type Interrupts } from '../../checks/interrupts.ts';
import link from '../../checks/link.ts';
import { rxQueueOf } from '../../checks/nic-drivers.ts';
import softnet from '../../checks/softnet.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding, type Observation } from '../../src/model/rule.ts';
import type { Card } from '../nic/cards.ts';
import { ringLosses } from '../nic/ring-loss.ts';
import { percent } from './cpu-shares.ts';
import { softnetRises, sumOf, worstCpu, type SoftnetRise } from './softnet-rises.ts';

/** A rule of thumb: with four queues or more, one that gets more than half of the packets is no chance. */
const FEWEST_QUEUES = 4;
const ONE_QUEUE_SHARE = 0.5;
/** Nearly all: the interrupts of all queues go to one CPU. */
const ONE_CPU_SHARE = 0.9;
/** A few flows are spread badly by chance; that costs nothing. A second of the least that cpu-softirq-saturation looks at. */
const FEWEST_PACKETS = 1000;

export default defineRule({
  id: 'irq-rss-imbalance',
  title: 'The packets of a network card are not spread over its queues or CPUs',
  needs: { link, ethtool },
  wants: { softnet, interrupts },
  reviewed: '2026-11-22',
  explain: {
    see: 'One receive queue, or one CPU, gets most packets and loses some; the others have little to do.',
    kernel:
      'The card chooses the queue by a hash of addresses and, for some protocols, ports (RSS). Each queue has an interrupt, which goes to the CPUs in its `smp_affinity`; that CPU takes the packets in. A single flow always stays in one queue, and so does a tunnel whose outer header is always the same.',
    confirm:
      '`ethtool -S INTERFACE | grep -E "rx.*packets"` twice shows the queues; `grep INTERFACE /proc/interrupts` which CPU each interrupt goes to; `ethtool -x INTERFACE` the table, `ethtool -n INTERFACE rx-flow-hash udp4` what is hashed.',
    fix: 'Interrupts: irqbalance, or one CPU for each queue in `/proc/irq/N/smp_affinity_list`. Queues: `ethtool -X INTERFACE equal N`; ports in the hash of UDP (`ethtool -N INTERFACE rx-flow-hash udp4 sdfn`), which can put fragments out of order. Against one heavy flow only less traffic or a faster CPU helps; RPS spreads different flows inside a tunnel.',
    normal: 'With few flows, or one heavy one. Without loss it needs no cure.',
    references: ['Documentation/networking/scaling.rst, RSS: Receive Side Scaling'],
  },
  judge({ link, ethtool, softnet, interrupts }) {
    return ringLosses(link, ethtool).flatMap((card) => {
      const queue = fullestQueue(card);
      if (queue !== undefined) return [finding(card, ...oneQueue(card, queue))];
      const cpu = softnet === undefined ? undefined : loneCpu(softnetRises(softnet));
      const queues = card.last.nic?.settings?.rxQueues ?? 1;
      if (cpu === undefined || queues < 2) return [];
      const told = interruptsOn(cpu.cpu, card.name, interrupts);
      return [finding(card, ...oneCpu(card, cpu, queues, told))];
    });
  },
});

interface QueueShare {
  readonly queue: string;
  readonly packets: number;
  readonly all: number;
}

function fullestQueue({ first, last }: Card): QueueShare | undefined {
  const queues = [...(last.nic?.statistics ?? [])].flatMap(([name, now]) => {
    const queue = rxQueueOf(name);
    return queue === undefined
      ? []
      : { queue, packets: rise(first.nic?.statistics?.get(name), now) };
  });
  const all = queues.reduce((sum, { packets }) => sum + packets, 0);
  const [fullest] = queues.sort((a, b) => b.packets - a.packets);
  if (fullest === undefined || queues.length < FEWEST_QUEUES || all < FEWEST_PACKETS)
    return undefined;
  return fullest.packets > all * ONE_QUEUE_SHARE ? { ...fullest, all } : undefined;
}

interface CpuLoad extends SoftnetRise {
  readonly all: number;
}

function loneCpu(rises: readonly SoftnetRise[]): CpuLoad | undefined {
  const all = sumOf(rises, 'processed');
  const worst = worstCpu(rises, 'processed');
  if (worst === undefined || rises.length < 2 || all < FEWEST_PACKETS) return undefined;
  return worst.processed > all * ONE_CPU_SHARE ? { ...worst, all } : undefined;
}

/** Under load a queue is polled, and its interrupt is silent: that others come elsewhere proves nothing. */
function interruptsOn(
  cpu: number,
  name: string,
  interrupts: Sampled<Interrupts> | undefined,
): readonly Observation[] {
  const before = interrupts?.first.cards.get(name) ?? [];
  const now = interrupts?.last.cards.get(name) ?? [];
  const rises = now.map(({ irq, perCpu }) => {
    const then = before.find((interrupt) => interrupt.irq === irq)?.perCpu;
    const on = (which: number) => rise(then?.get(which), perCpu.get(which));
    return {
      here: on(cpu),
      all: [...perCpu.keys()].reduce((sum, which) => sum + on(which), 0),
    };
  });
  const here = rises.reduce((sum, one) => sum + one.here, 0);
  const all = rises.reduce((sum, one) => sum + one.all, 0);
  if (all === 0 || here < all * ONE_CPU_SHARE) return [];
  const active = rises.filter((one) => one.all > 0).length;
  return [
    {
      source: '/proc/interrupts',
      text: `CPU ${cpu} got ${here} of ${all} interrupts of ${name} (${active} of its ${now.length} came at all)`,
    },
  ];
}

type Judged = readonly [because: readonly Observation[], means: string, advice: string];

function oneQueue({ name }: Card, { queue, packets, all }: QueueShare): Judged {
  return [
    [
      {
        source: `ethtool -S ${name}`,
        text: `receive queue ${queue} got ${packets} of ${all} packets (${percent(packets / all)})`,
      },
    ],
    `The card puts most packets of ${name} into one queue, so that one CPU has to take them all.`,
    `Look what is hashed (ethtool -n ${name} rx-flow-hash udp4) and how the table looks (ethtool -x ${name}). Ports in the hash: ethtool -N ${name} rx-flow-hash udp4 sdfn. If it is a single flow, or a tunnel, RSS cannot spread it.`,
  ];
}

function oneCpu(
  { name }: Card,
  { cpu, processed, all }: CpuLoad,
  queues: number,
  told: readonly Observation[],
): Judged {
  return [
    [
      {
        source: '/proc/net/softnet_stat column 1 (processed)',
        text: `CPU ${cpu} took in ${processed} of ${all} packets (${percent(processed / all)}), though ${name} has ${queues} receive queues`,
      },
      ...told,
    ],
    `Nearly all packets of this host are taken in by CPU ${cpu}: the queues of ${name} share it, or only one of them is used.`,
    `See where the interrupts of ${name} go (grep ${name} /proc/interrupts), and give each queue a CPU of its own: irqbalance, or /proc/irq/N/smp_affinity_list.`,
  ];
}

function finding(
  { name }: Card,
  because: readonly Observation[],
  means: string,
  advice: string,
): CauseFinding {
  return {
    kind: 'cause',
    confidence: 'likely',
    // The ring counts what is lost by it.
    packets: 0,
    scope: { interface: name },
    because,
    means,
    rulesOut: [],
    fixes: [
      {
        id: `spread-queues-${name}`,
        title: `Spread the packets of ${name} over queues and CPUs`,
        risk: 'caution',
        cost: 'flows move to other CPUs; for a moment their packets may arrive out of order',
        takesEffect: 'at-once',
        steps: [{ kind: 'manual', text: advice }],
      },
    ],
    claims: [],
  };
}
