import { expect, test } from 'vitest';
import type { Interrupts } from '../../../checks/interrupts.ts';
import saturation from '../../../rules/cpu/cpu-softirq-saturation.ts';
import imbalance from '../../../rules/cpu/irq-rss-imbalance.ts';
import starved from '../../../rules/nic/vm-starved.ts';
import type { Sampled } from '../../../src/model/check.ts';
import { causesOf, sampled, softnetRise, window, type CpuRise } from './evidence.ts';
import { cpuTimes, type CpuLoad } from './example.ts';
import { cardWindow } from './nic-evidence.ts';

const idle = cardWindow({ driver: 'igb' });
const ringLoss = { rx_queue_0_drops: 100 };
const losing = cardWindow({ driver: 'igb', statistics: ringLoss });

function judgeSaturation(
  loads: readonly CpuLoad[],
  cpus: readonly CpuRise[],
  card: Partial<typeof losing> = losing,
) {
  const evidence = {
    cpu: cpuTimes(loads),
    softnet: softnetRise(cpus),
    link: undefined,
    ethtool: undefined,
  };
  return causesOf(saturation.judge({ ...evidence, ...card }, window));
}

const busy = { processed: 500_000 };
const quiet = { processed: 1000 };

test('one CPU is saturated, and a ring ran over', () => {
  expect(judgeSaturation([{ softirq: 20 }, { softirq: 400 }], [quiet, busy])).toMatchObject([
    {
      confidence: 'likely',
      packets: 0,
      scope: { cpu: 1 },
      because: [{ text: 'CPU 1 spent 80 % of its time in soft interrupts' }, {}],
    },
  ]);
});

test('without loss, squeezes make it possible', () => {
  const squeezed = { ...busy, timeSqueeze: 51 };
  expect(judgeSaturation([{ softirq: 450 }], [squeezed], idle)).toMatchObject([
    { confidence: 'possible' },
  ]);
  expect(judgeSaturation([{ softirq: 450 }], [{ ...busy, timeSqueeze: 50 }], idle)).toEqual([]);
  expect(judgeSaturation([{ softirq: 450 }], [squeezed], {})).toHaveLength(1);
});

test.each<[string, readonly CpuLoad[], readonly CpuRise[]]>([
  ['just below the limit', [{ softirq: 399 }], [busy]],
  ['timers, not packets', [{ softirq: 480 }], [{ processed: 4999 }]],
  ['too short to tell', [{ softirq: 49, ticks: 49 }], [busy]],
  ['packets on another CPU', [{ softirq: 480 }, {}], [{ processed: 10 }, busy]],
])('no saturation: %s', (_, loads, cpus) => {
  expect(judgeSaturation(loads, cpus)).toEqual([]);
});

test.each([
  ['loss and 5 % steal', { steal: 25 }, losing, 1],
  ['loss and less', { steal: 24 }, losing, 0],
  ['steal without loss', { steal: 250 }, idle, 0],
] as const)('virtual machine: %s', (_, load, card, count) => {
  const found = causesOf(starved.judge({ ...card, cpu: cpuTimes([{}, load]) }, window));
  expect(found).toHaveLength(count);
  for (const cause of found) {
    expect(cause).toMatchObject({ confidence: 'likely', packets: 0, scope: { cpu: 1 } });
  }
});

test('virtual machine: a starved CPU, told by the interface alone', () => {
  const { link } = cardWindow({ link: { rxMissed: 50n } });
  const evidence = { link, ethtool: undefined, cpu: cpuTimes([{ steal: 100 }]) };
  expect(causesOf(starved.judge(evidence, window))).toHaveLength(1);
});

/** Packets of each receive queue, as drivers name them. */
function queues(pattern: string, packets: readonly number[]) {
  const names = packets.map(
    (count, queue) => [pattern.replace('N', String(queue)), count] as const,
  );
  return Object.fromEntries(names);
}

function judgeImbalance(
  statistics: Readonly<Record<string, number>>,
  driver = 'igb',
  rxQueues = 4,
  interrupts?: Sampled<Interrupts>,
) {
  const card = cardWindow({ driver, statistics, settings: { rxQueues } });
  return (cpus: readonly CpuRise[] | undefined) =>
    causesOf(
      imbalance.judge(
        {
          ...card,
          softnet: cpus === undefined ? undefined : softnetRise(cpus),
          interrupts,
        },
        window,
      ),
    );
}

test.each([
  ['igb', 'rx_queue_N_packets', ringLoss],
  ['mlx5_core', 'rxN_packets', { rx_out_of_buffer: 9 }],
  ['iavf', 'rx-N.packets', { rx_discards: 9 }],
  ['bnxt_en', '[N]: rx_ucast_packets', { rx_total_ring_discards: 9 }],
])('%s: one queue gets most, and the ring loses', (driver, pattern, loss) => {
  const found = judgeImbalance(
    { ...queues(pattern, [100, 3000, 100, 100]), ...loss },
    driver,
  )(undefined);
  expect(found).toMatchObject([
    {
      confidence: 'likely',
      packets: 0,
      scope: { interface: 'eth0' },
      because: [{ text: 'receive queue 1 got 3000 of 3300 packets (91 %)' }],
    },
  ]);
});

test.each([
  ['half of it', [1000, 500, 250, 250]],
  ['too few packets', [999, 0, 0, 0]],
  ['too few queues', [5000, 10, 10]],
])('no imbalance: %s', (_, packets) => {
  expect(
    judgeImbalance({ ...queues('rx_queue_N_packets', packets), ...ringLoss })(undefined),
  ).toEqual([]);
});

test('no loss, no imbalance', () => {
  expect(judgeImbalance(queues('rx_queue_N_packets', [5000, 0, 0, 0]))(undefined)).toEqual([]);
});

test.each([
  ['it', [950, 50], ['CPU 0 got 950 of 1000 interrupts of eth0 (1 of its 2 came at all)']],
  ['not it alone', [890, 110], []],
  ['none came, the queue is polled', [0, 0], []],
])('one CPU takes the packets in, and %s gets the interrupts', (_, [here = 0, there = 0], told) => {
  const at = (zero: number, one: number): Interrupts => ({
    cards: new Map([
      [
        'eth0',
        [
          {
            irq: 30,
            name: 'eth0-rx-0',
            perCpu: new Map([
              [0, BigInt(zero)],
              [1, BigInt(one)],
            ]),
          },
          {
            irq: 31,
            name: 'eth0-rx-1',
            perCpu: new Map([
              [0, 7n],
              [1, 7n],
            ]),
          },
        ],
      ],
    ]),
  });
  const spread = { ...queues('rx_queue_N_packets', [1000, 1000, 1000, 1000]), ...ringLoss };
  const interrupts = sampled(at(5, 5), at(5 + here, 5 + there));
  const [cause] = judgeImbalance(
    spread,
    'igb',
    4,
    interrupts,
  )([{ processed: 9500 }, { processed: 500 }]);
  expect(cause?.because.slice(1).map(({ text }) => text)).toEqual(told);
});

test('one CPU takes the packets of all queues in', () => {
  const spread = { ...queues('rx_queue_N_packets', [1000, 1000, 1000, 1000]), ...ringLoss };
  const lone: readonly CpuRise[] = [{ processed: 9500 }, { processed: 500 }];
  const [cause] = judgeImbalance(spread)(lone);
  expect(cause?.because[0]?.text).toContain('CPU 0 took in 9500 of 10000 packets (95 %)');
  expect(judgeImbalance(spread)([{ processed: 9000 }, { processed: 1000 }])).toEqual([]);
  // With one queue, or one CPU, it cannot be otherwise.
  expect(judgeImbalance(spread, 'igb', 1)(lone)).toEqual([]);
  expect(judgeImbalance(spread)([{ processed: 9500 }])).toEqual([]);
});
