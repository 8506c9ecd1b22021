import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import softnet from '../../checks/softnet.ts';
import sysctl, { type Sysctl } from '../../checks/sysctl.ts';
import { rise } from '../../src/model/counter.ts';
import type { Expectation, Fix } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding, type Observation } from '../../src/model/rule.ts';
import { budgetFix, SQUEEZES_PER_SECOND } from '../cpu/budget-fix.ts';
import { softnetRises, worstCpu, type SoftnetRise } from '../cpu/softnet-rises.ts';
import { cards, type Card } from './cards.ts';
import { ringFix, seeRingFix } from './ring-fix.ts';
import { ringLoss, type RingLoss } from './ring-loss.ts';

export default defineRule({
  id: 'nic-rx-ring',
  title: 'The receive ring of a network card runs empty',
  needs: { link },
  wants: { ethtool, softnet, sysctl },
  reviewed: '2026-11-22',
  consequenceOf: ['nic-rx-alloc', 'irq-rss-imbalance', 'cpu-softirq-saturation', 'vm-starved'],
  explain: {
    see: 'TCP retransmits and UDP gaps under bursts. `missed` of the interface rises, but no drop event is seen: the packet never became an skb.',
    kernel:
      'The driver keeps a ring of empty buffers, one ring for each queue, for the card to fill (`ethtool -g`). NAPI (`net_rx_action`) takes the full ones out and puts empty ones in. When packets come faster than that, or in a burst longer than the ring, the card finds no free descriptor and drops the packet by itself. It counts that in a statistic whose name differs between drivers (`ethtool -S`); many repeat it in `rx_missed_errors` of the interface. Intel cards count `rx_no_buffer_count` when the ring is empty, and `rx_missed_errors` when their own buffer is full as well and the packet is lost.',
    confirm:
      'Run `ethtool -S IFACE` twice: a statistic of missing descriptors rises (`rx_out_of_buffer` mlx5, `rx_no_dma_resources` ixgbe, `rx_queue_N_drops` igb, `pkts rx OOB` vmxnet3). `ethtool -g IFACE` shows the ring and its maximum. `mpstat -P ALL 1` shows whether one CPU is busy with soft interrupts all the time.',
    fix: '`ethtool -G IFACE rx N` with twice the current value, at most the maximum. Most drivers take the link down for a second or more; if memory is short it can stay down. Do it once or twice. If that does not help, the CPU is too slow, and a longer ring only adds delay: use more queues (`ethtool -L`), spread the interrupts, let coalescing adapt (`ethtool -C IFACE adaptive-rx on`). The ring size is lost at reboot; keep it in a systemd `.link` file (`RxBufferSize=`), in NetworkManager (`ethtool.ring-rx`) or in a udev rule.',
    normal:
      'A few packets when the link comes up. `rx_dropped` alone is something else: it also counts frames that nobody wanted (LLDP, spanning tree). If the buffer of the card overflows while descriptors are free (`rx_discards_phy` of mlx5), a longer ring does not help.',
    references: [
      'Documentation/networking/statistics.rst, struct rtnl_link_stats64 (Linux 6.12)',
      'Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst',
      'drivers/net/ethernet (Linux 6.12): igb_update_stats, i40e_update_vsi_stats, vmxnet3_rq_dev_stats',
      'systemd.link(5), RxBufferSize=',
    ],
  },
  judge({ link, ethtool, softnet, sysctl }, { seconds }) {
    const worst =
      softnet === undefined ? undefined : worstCpu(softnetRises(softnet), 'timeSqueeze');
    const pressure: Pressure = {
      squeezed: worst,
      often: (worst?.timeSqueeze ?? 0) > SQUEEZES_PER_SECOND * seconds,
      sysctl: sysctl?.last,
    };
    return cards(link, ethtool).flatMap((card) => {
      const loss = ringLoss(card);
      return loss === undefined ? [] : [finding(card, loss, pressure)];
    });
  },
});

/** What the CPUs have to do with it. */
interface Pressure {
  /** The CPU that ran out of time most. */
  readonly squeezed: SoftnetRise | undefined;
  /** More than on any busy host. */
  readonly often: boolean;
  readonly sysctl: Sysctl | undefined;
}

function finding(card: Card, loss: RingLoss, pressure: Pressure): CauseFinding {
  const { name, first, last } = card;
  const { confidence, packets, counter } = loss;
  const guess = confidence === 'possible';
  return {
    kind: 'cause',
    confidence,
    packets,
    traffic: {
      packets: rise(first.link.rxPackets, last.link.rxPackets) + packets,
      what: `packets that reached ${name}`,
    },
    ...(guess || packets === 0 ? { severityAtMost: 'notice' } : {}),
    scope: { interface: name },
    because: [...loss.because, ...ringSize(card), ...squeezes(pressure)],
    means: guess
      ? `The driver of ${name} counts lost packets under names that are not known here; by the sound of them its receive ring ran empty.`
      : packets === 0
        ? `The receive ring of ${name} ran empty for moments, but the card's own buffer held the packets: none was lost yet.`
        : `${name} had no free receive buffer when these packets came: the host empties the ring too slowly, or bursts are longer than the ring.`,
    rulesOut: [
      ...loss.rulesOut,
      {
        id: 'softnet-backlog',
        because: 'the packets never got as far as the input queues of the CPUs',
      },
    ],
    fixes: guess || packets === 0 ? [] : fixes(card, counter, pressure),
    claims: [],
    beforeEvents: true,
  };
}

/** More time for a CPU that has too little comes first: a longer ring would only delay the loss. */
function fixes({ name, last }: Card, counter: string, { often, sysctl }: Pressure): readonly Fix[] {
  const expect: Expectation = {
    counter,
    change: 'stops-rising',
    traffic: `link ${name}.rx_packets`,
  };
  return [
    ...(often ? budgetFix(sysctl, expect) : []),
    last.nic === undefined ? seeRingFix(name) : ringFix(name, last.nic.settings, last.link, expect),
  ];
}

function ringSize({ name, last }: Card): readonly Observation[] {
  const { rx, rxMax } = last.nic?.settings?.ring ?? {};
  if (rx === undefined) return [];
  const limit = rxMax === undefined ? '' : ` of at most ${rxMax}`;
  return [
    {
      source: `ethtool -g ${name}`,
      text: `a receive ring has ${rx}${limit} descriptors`,
      last: String(rx),
    },
  ];
}

/** A CPU out of time empties no ring, however long it is. */
function squeezes({ squeezed }: Pressure): readonly Observation[] {
  if (squeezed === undefined) return [];
  return [
    {
      source: '/proc/net/softnet_stat column 3 (time_squeeze)',
      text: `CPU ${squeezed.cpu} ran out of time for packets ${squeezed.timeSqueeze} times: a longer ring may only delay the loss`,
    },
  ];
}
