import ethtool from '../../checks/ethtool.ts';
import kernelLog from '../../checks/kernel-log.ts';
import link from '../../checks/link.ts';
import { defineRule } from '../../src/model/rule.ts';
import { kernelSaid } from '../kernel-messages.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, kindRises, most, standardRises } from './cards.ts';

export default defineRule({
  id: 'nic-rx-alloc',
  title: 'A network driver gets no memory for received packets',
  needs: { link, ethtool },
  wants: { kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'A statistic of failed allocations rises (`rx_alloc_fail`, `alloc_rx_page_failed`, `rx_buff_alloc_err` …). The kernel log may say `page allocation failure`. Loss comes in moments when memory is short.',
    kernel:
      'A driver must replace each buffer that the card filled. It asks for memory without waiting (GFP_ATOMIC), which only succeeds from the reserve that `vm.min_free_kbytes` keeps. If it fails, the driver drops the packet to use its buffer again, or leaves the ring shorter until the next try.',
    confirm:
      '`ethtool -S INTERFACE | grep -iE "alloc|oom|no_?(mem|skb)"` twice; `journalctl -k | grep "page allocation failure"`; `cat /proc/buddyinfo`, `grep MemFree /proc/meminfo`.',
    fix: 'Find what uses up the memory. A larger `vm.min_free_kbytes` keeps a larger reserve, which is lost to programs: too large on a small machine, it brings the OOM killer. Shorter rings, fewer queues and no jumbo buffers need less.',
    normal: 'One failure now and then under memory pressure costs nothing: the driver tries again.',
    references: [
      'Documentation/admin-guide/sysctl/vm.rst, min_free_kbytes',
      'drivers/net/ethernet (Linux 6.12): ixgbe_alloc_rx_buffers, ena_refill_rx_bufs',
    ],
  },
  judge({ link, ethtool, kernelLog }) {
    return cards(link, ethtool).flatMap((card) => {
      const rises = kindRises(card, 'alloc');
      const failures = most(rises)?.by ?? 0;
      if (failures === 0) return [];
      const { rxDropped } = standardRises(card);
      const ringEmpty = [...kindRises(card, 'ring'), ...kindRises(card, 'ringEmpty')];
      // A failure is tried again: only where the interface counts a loss too, one is known. What an
      // empty ring lost, nic-rx-ring counts.
      const packets = ringEmpty.length > 0 ? 0 : Math.min(failures, rxDropped?.by ?? 0);
      const finding = cardFinding({
        card,
        rises: rxDropped === undefined ? rises : [...rises, rxDropped],
        direction: 'rx',
        confidence: 'likely',
        packets,
        means: `The driver of ${card.name} found no free memory for receive buffers${packets === 0 ? '; it tries again, and no packet is known to be lost by that yet' : ', and dropped packets'}.`,
      });
      return [
        {
          ...finding,
          because: [...finding.because, ...kernelSaid(kernelLog, 'page-allocation')],
          fixes:
            packets === 0
              ? []
              : [
                  handFix(card, rises, {
                    id: 'free-memory',
                    title: 'Keep memory free for the network',
                    risk: 'caution',
                    cost: 'memory that is kept free is lost to programs and to the page cache',
                    text: `Find the program that uses up the memory. If there is none, keep a larger reserve: sysctl vm.min_free_kbytes shows the present one; go up in small steps, and never above a few percent of the memory. Shorter rings or fewer queues of ${card.name} need fewer buffers.`,
                  }),
                ],
        },
      ];
    });
  },
});
