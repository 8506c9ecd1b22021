import ethtool from '../../checks/ethtool.ts';
import kernelLog from '../../checks/kernel-log.ts';
import link from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule } from '../../src/model/rule.ts';
import { kernelSaid } from '../kernel-messages.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, kindRises, most } from './cards.ts';

export default defineRule({
  id: 'nic-tx-timeout',
  title: 'A transmit queue is stuck and is reset',
  needs: { link, ethtool },
  wants: { kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'The network stops for seconds and comes back. The kernel log says `NETDEV WATCHDOG: … transmit queue N timed out`.',
    kernel:
      '`dev_watchdog` (net/sched/sch_generic.c) looks whether a stopped transmit queue sent nothing for the time the driver allows (5 s as a rule). Then it counts that queue and calls the driver, which resets the card: all packets in its rings are lost.',
    confirm:
      '`grep . /sys/class/net/INTERFACE/queues/tx-*/tx_timeout`; `journalctl -k | grep -A3 "NETDEV WATCHDOG"`.',
    fix: 'A newer driver or firmware. Until then, try without the feature that triggers it: segmentation offload (`ethtool -K INTERFACE tso off gso off`), energy saving (`ethtool --set-eee INTERFACE eee off`, `pcie_aspm=off`). Look for PCIe errors (AER) in the kernel log. In a virtual machine, the host may have stopped it for seconds.',
    normal: 'Never, but once after a virtual machine was paused or moved.',
    references: [
      'net/sched/sch_generic.c dev_watchdog (Linux 6.18)',
      'Documentation/ABI/testing/sysfs-class-net-queues, tx_timeout',
    ],
  },
  judge({ link, ethtool, kernelLog }) {
    return cards(link, ethtool).flatMap((card) => {
      const { name, first, last } = card;
      const ofDriver = kindRises(card, 'txTimeout');
      const ofKernel = rise(first.nic?.txTimeouts, last.nic?.txTimeouts);
      const times = Math.max(ofKernel, most(ofDriver)?.by ?? 0);
      if (times === 0) return [];
      const finding = cardFinding({
        card,
        rises: ofDriver,
        direction: 'tx',
        confidence: 'certain',
        // dev_watchdog only acts on a queue that holds packets.
        packets: times,
        means: `${name} sent nothing for seconds, and its driver reset it ${times === 1 ? 'once' : `${times} times`}. All packets in its rings were lost: at least one each time, in truth many more.`,
      });
      return [
        {
          ...finding,
          because: [
            ...(ofKernel === 0
              ? []
              : [
                  {
                    source: `/sys/class/net/${name}/queues/tx-*/tx_timeout`,
                    text: `the watchdog found a transmit queue stuck ${ofKernel === 1 ? 'once' : `${ofKernel} times`}`,
                    first: String(first.nic?.txTimeouts),
                    last: String(last.nic?.txTimeouts),
                  },
                ]),
            ...finding.because,
            ...kernelSaid(kernelLog, 'transmit-timeout', name),
          ],
          fixes: [
            handFix(card, ofDriver, {
              id: `mend-stuck-queue-${name}`,
              title: `Find why ${name} stops sending`,
              risk: 'disruptive',
              cost: 'each try needs a restart of the link or of the machine',
              text: `Read the kernel log around NETDEV WATCHDOG and for PCIe errors (AER). Update driver and firmware of ${name}. To try: ethtool -K ${name} tso off gso off; ethtool --set-eee ${name} eee off.`,
            }),
          ],
        },
      ];
    });
  },
});
