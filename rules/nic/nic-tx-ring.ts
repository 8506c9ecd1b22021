import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, kindRises, standardRises } from './cards.ts';

export default defineRule({
  id: 'nic-tx-ring',
  title: 'A network card throws away what it should send',
  needs: { link, ethtool },
  reviewed: '2026-11-22',
  // A reset empties the rings.
  consequenceOf: ['nic-tx-timeout'],
  explain: {
    see: 'A transmit statistic of the driver rises (`tx_queue_dropped`, `tx_no_space`, `pkts tx discard` …), while `tc -s qdisc` counts no drops.',
    kernel:
      'A driver whose ring is full normally stops its queue, and packets wait in the queueing discipline. It throws a packet away when it cannot be sent at all: too large, too many fragments, no DMA mapping, or refused by the hypervisor or the firmware.',
    confirm:
      '`ethtool -S INTERFACE | grep -iE "tx.*(drop|disc|err|fifo)"` twice; `tc -s qdisc show dev INTERFACE` beside it; `journalctl -k` for messages of the driver.',
    fix: 'A larger transmit ring (`ethtool -G INTERFACE tx N`) if it is below its maximum; other offload settings if packets are too large; driver, firmware or hypervisor otherwise.',
    normal: 'A few when the link goes down or comes up.',
    references: ['drivers/net/ethernet (Linux 6.12): mlx5e_sq_xmit_prepare, netvsc_xmit'],
  },
  judge({ link, ethtool }) {
    return cards(link, ethtool).flatMap((card) => {
      const statistics = kindRises(card, 'tx');
      const { txFifo, txAborted } = standardRises(card);
      const rises = [...statistics, txFifo, txAborted].filter((rise) => rise !== undefined);
      // Without a link it is link-down-tx or nic-link-flap.
      const { operstate, carrierChanges } = card.last.link;
      const steady = operstate === 'up' && carrierChanges === card.first.link.carrierChanges;
      if (rises.length === 0 || !steady) return [];
      const { tx, txMax } = card.last.nic?.settings?.ring ?? {};
      const size =
        tx === undefined || txMax === undefined
          ? `See its size: ethtool -g ${card.name}.`
          : tx < txMax
            ? `It has ${tx} descriptors of at most ${txMax}: ethtool -G ${card.name} tx ${Math.min(txMax, 2 * tx)} may help.`
            : `It is at its maximum (${tx}).`;
      const finding = cardFinding({
        card,
        rises,
        direction: 'tx',
        confidence: statistics.length > 0 ? 'certain' : 'likely',
        means: `The driver of ${card.name}, its firmware or the hypervisor refused packets after they had left the queue.`,
      });
      return [
        {
          ...finding,
          fixes: [
            handFix(card, rises, {
              id: `mend-transmit-${card.name}`,
              title: `Find why ${card.name} refuses packets`,
              risk: 'disruptive',
              cost: 'most drivers restart the link for a new ring size',
              text: `The name of the statistic tells what failed: no room in the ring, a packet too large, no memory, the hypervisor. ${size} Look for messages of the driver in the kernel log, and for newer firmware.`,
            }),
          ],
        },
      ];
    });
  },
});
