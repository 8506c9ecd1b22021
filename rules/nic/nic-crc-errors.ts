import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { templatesOf, nicDriver } from '../../checks/nic-drivers.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, kindRises, standardRises, type Card, type Rise } from './cards.ts';

export default defineRule({
  id: 'nic-crc-errors',
  title: 'Frames arrive damaged',
  needs: { link },
  wants: { ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'One link is slow in one direction, with TCP retransmits; other links are not. `rx_crc_errors` of the interface rises, and no drop event is seen.',
    kernel:
      'The card checks the frame check sequence (CRC) of each frame and throws a damaged one away. The kernel never sees it: the driver only copies the count of the card to `rx_crc_errors`. Symbol, alignment and runt errors come of the same damage.',
    confirm:
      '`ethtool -S INTERFACE | grep -iE "crc|fcs|symbol|align"` twice; `ethtool -m INTERFACE` shows the optical power; the error counters of the switch port show the other direction.',
    fix: 'Clean or replace the cable and the transceivers, try another switch port. Both ends must agree on speed, duplex and error correction (`ethtool INTERFACE`, `ethtool --show-fec INTERFACE`). No sysctl helps.',
    normal:
      'A few when the link comes up. In steady use even a few a minute are a defect: a sound copper or fibre link has none for days.',
    references: [
      'Documentation/networking/statistics.rst, rx_crc_errors (Linux 6.12)',
      'IEEE 802.3, aFrameCheckSequenceErrors',
    ],
  },
  judge({ link, ethtool }) {
    return cards(link, ethtool).flatMap((card) => {
      const rises = damagedFrames(card);
      if (rises.length === 0) return [];
      const finding = cardFinding({
        card,
        rises,
        direction: 'rx',
        confidence: rises.some(({ name }) => /crc|fcs|symbol|align/.test(name))
          ? 'certain'
          : 'likely',
        means: `Frames reach ${card.name} damaged, and the card throws them away: cable, transceiver, port, or the two ends disagree on speed or error correction.`,
      });
      return [
        {
          ...finding,
          rulesOut: [
            { id: 'nic-rx-ring', because: 'the card had room; it refused these frames as damaged' },
          ],
          fixes: [
            handFix(card, rises, {
              id: `mend-cable-${card.name}`,
              title: `Find the bad part between ${card.name} and the switch`,
              risk: 'disruptive',
              cost: 'the link is down while cable or transceiver are changed',
              text: `Clean or replace the cable and the transceivers, then try another switch port. Compare both ends: ethtool ${card.name} (speed, duplex), ethtool --show-fec ${card.name} (error correction), ethtool -m ${card.name} (optical power).`,
            }),
          ],
        },
      ];
    });
  },
});

/** What the card counted as damage of the wire. */
export function damagedFrames(card: Card): readonly Rise[] {
  const { rxCrc, rxFrame } = standardRises(card);
  const driver = nicDriver(card.last.nic?.settings?.driver);
  // Virtual cards count other trouble there: a bad header of virtio_net.
  const hasWire = driver === undefined || templatesOf(driver, 'crc').length > 0;
  return [rxCrc, ...(hasWire ? [rxFrame] : []), ...kindRises(card, 'crc')].filter(
    (rise) => rise !== undefined,
  );
}
