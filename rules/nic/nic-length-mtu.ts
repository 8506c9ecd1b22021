import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, kindRises, standardRises, type Card, type Rise } from './cards.ts';
import { damagedFrames } from './nic-crc-errors.ts';

export default defineRule({
  id: 'nic-length-mtu',
  title: 'Frames arrive that are longer than this port takes',
  needs: { link },
  wants: { ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'Small packets pass, large transfers hang. `rx_length_errors` of the interface rises, or a statistic of the driver for oversize frames.',
    kernel:
      'A card is told to take frames up to the MTU (with some room for VLAN tags). It throws longer ones away and counts them; the kernel sees no packet. The usual reason: jumbo frames are switched on at some hosts of a network, and not at all of them.',
    confirm:
      '`ip link show INTERFACE` shows the MTU here; look at the MTU of the senders. `ping -M do -s 8972 HOST` tells whether jumbo frames pass. `ethtool -S INTERFACE | grep -iE "length|over|long|jabber"`.',
    fix: 'The same MTU at all hosts and switch ports of the network: `ip link set INTERFACE mtu N`. Most drivers restart the link for that. Tunnels and VLANs need room for their headers.',
    normal: 'A stray one now and then. If CRC errors rise too, it is damage, not length.',
    references: [
      'Documentation/networking/statistics.rst, rx_length_errors (Linux 6.12)',
      'Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst, rx_oversize_pkts_phy',
    ],
  },
  judge({ link, ethtool }) {
    return cards(link, ethtool).flatMap((card) => {
      const rises = longFrames(card);
      if (rises.length === 0) return [];
      const { mtu } = card.last.link;
      const finding = cardFinding({
        card,
        rises,
        direction: 'rx',
        // Drivers count frames there whose length field is wrong, too.
        confidence: 'likely',
        means: `Somebody on the network of ${card.name} sends longer frames than it takes with its MTU of ${mtu}.`,
      });
      return [
        {
          ...finding,
          because: [
            ...finding.because,
            {
              source: `/sys/class/net/${card.name}/mtu`,
              text: `the MTU of ${card.name} is ${mtu}`,
              last: String(mtu),
            },
          ],
          rulesOut: [{ id: 'nic-crc-errors', because: 'no damaged frames were counted' }],
          fixes: [
            handFix(card, rises, {
              id: `align-mtu-${card.name}`,
              title: `Use one MTU in the whole network of ${card.name}`,
              risk: 'disruptive',
              cost: 'most drivers restart the link when the MTU changes',
              text: `Compare the MTU of ${card.name} (${mtu}) with that of the other hosts and switch ports of the network, and make them equal: ip link set ${card.name} mtu N.`,
            }),
          ],
        },
      ];
    });
  },
});

function longFrames(card: Card): readonly Rise[] {
  // Damage cuts frames, and some cards count runts as a wrong length.
  if (damagedFrames(card).length > 0) return [];
  const { rxLength } = standardRises(card);
  return [rxLength, ...kindRises(card, 'length')].filter((rise) => rise !== undefined);
}
