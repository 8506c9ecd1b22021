import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { nicDriver } from '../../checks/nic-drivers.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, kindRises, most, standardRises, type Card, type Rise } from './cards.ts';

export default defineRule({
  id: 'nic-rx-fifo',
  title: 'The buffer inside a network card overflows',
  needs: { link },
  wants: { ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'Packets are lost at high rates though the receive rings have free descriptors and the CPUs are not busy. `rx_discards_phy` (mlx5), `rx_missed_errors` (Intel) or a similar statistic rises; no drop event is seen.',
    kernel:
      'A frame waits in a small buffer of the card until it is copied to memory over PCIe. If the bus, the memory or the card itself is too slow, that buffer overflows. The kernel takes no part in it. On Intel cards the same counter rises when the ring was empty for long; `rx_no_buffer_count` tells the two apart.',
    confirm:
      '`ethtool -S INTERFACE` twice. `lspci -vv -s BUS | grep -E "LnkCap|LnkSta"` shows whether the card has all its PCIe lanes at full speed; `cat /sys/class/net/INTERFACE/device/numa_node` where its memory should be.',
    fix: 'Another slot, or all lanes at full speed; interrupts and programs on the NUMA node of the card; fewer queues rather than more; the IOMMU in passthrough mode. Flow control with the switch moves the loss there. A larger ring does not help.',
    normal: 'A few when the link comes up.',
    references: [
      'Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst, rx_discards_phy',
      'drivers/net/ethernet/intel (Linux 6.12), MPC register',
    ],
  },
  judge({ link, ethtool }) {
    return cards(link, ethtool).flatMap((card) => {
      const rises = fullBuffer(card);
      const packets = Math.max(0, (most(rises)?.by ?? 0) - lostForWantOfDescriptors(card));
      if (packets === 0) return [];
      const bus = card.last.nic?.settings?.bus;
      const finding = cardFinding({
        card,
        rises,
        direction: 'rx',
        confidence: 'certain',
        packets,
        means: `The buffer inside ${card.name} was full: the card could not hand frames on to memory as fast as they came.`,
      });
      const ring = [...kindRises(card, 'ring'), ...kindRises(card, 'ringEmpty')];
      return [
        {
          ...finding,
          rulesOut:
            ring.length === 0 && card.last.nic?.statistics !== undefined
              ? [
                  {
                    id: 'nic-rx-ring',
                    because: 'no statistic of missing receive descriptors rose',
                  },
                ]
              : [],
          fixes: [
            handFix(card, rises, {
              id: `free-bus-${card.name}`,
              title: `Find what slows ${card.name} down on its way to memory`,
              risk: 'disruptive',
              cost: 'a change of slot or queues interrupts the network',
              text: `Compare LnkSta with LnkCap in lspci -vv${bus === undefined ? '' : ` -s ${bus}`}: the card needs all its PCIe lanes at full speed. Keep its interrupts on its own NUMA node (/sys/class/net/${card.name}/device/numa_node), try fewer queues (ethtool -L), and flow control with the switch (ethtool -a ${card.name}). A longer ring does not help.`,
            }),
          ],
        },
      ];
    });
  },
});

function fullBuffer(card: Card): readonly Rise[] {
  const { rxMissed, rxFifo } = standardRises(card);
  const driver = nicDriver(card.last.nic?.settings?.driver);
  return [
    ...kindRises(card, 'port'),
    ...(driver?.rxMissed === 'port' ? [rxMissed] : []),
    // Where both are of the port, rx_fifo_errors is a sum (igb).
    ...(driver?.rxFifo === 'port' && driver.rxMissed === undefined ? [rxFifo] : []),
  ].filter((rise) => rise !== undefined);
}

/** The card's buffer fills as well when the ring is empty for long: those are of nic-rx-ring. */
function lostForWantOfDescriptors(card: Card): number {
  const empty = nicDriver(card.last.nic?.settings?.driver)?.ringEmpty;
  return empty?.lostIn === 'rxMissed' ? (most(kindRises(card, 'ringEmpty'))?.by ?? 0) : 0;
}
