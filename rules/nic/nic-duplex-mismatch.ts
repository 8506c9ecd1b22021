import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, standardRises, type Card } from './cards.ts';

/** Below this, half duplex may be meant: hubs and old field buses. */
const FAST_ETHERNET_MBPS = 100;

export default defineRule({
  id: 'nic-duplex-mismatch',
  title: 'One end of the link works in half duplex',
  needs: { link, ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'The link works, but is very slow under load. Here late collisions rise (`tx_window_errors`), at the other end CRC errors.',
    kernel:
      'A half-duplex port does not send while it receives. If one end has a fixed speed and the other negotiates, the latter falls back to half duplex, while the first sends whenever it likes. Then frames collide after they were half sent; the card gives them up and counts a late collision.',
    confirm:
      '`ethtool INTERFACE` shows `Duplex: Half`; `cat /sys/class/net/INTERFACE/statistics/{collisions,tx_window_errors}` twice.',
    fix: 'Autonegotiation at both ends: `ethtool -s INTERFACE autoneg on`, and the same at the switch port. If one end is fixed, the other must be fixed to the same.',
    normal:
      'Only with a hub, or 10 Mbit/s equipment. Collisions are part of half duplex; late ones never are.',
    references: [
      'Documentation/networking/statistics.rst, tx_window_errors (Linux 6.12)',
      'IEEE 802.3, aLateCollisions',
    ],
  },
  judge({ link, ethtool }) {
    return cards(link, ethtool).flatMap((card) => {
      const { txWindow } = standardRises(card);
      const { duplex, speedMbps } = card.last.nic?.settings ?? {};
      const half =
        duplex === 'half' &&
        speedMbps !== undefined &&
        speedMbps >= FAST_ETHERNET_MBPS &&
        card.last.link.operstate === 'up';
      if (txWindow === undefined && !half) return [];
      const finding = cardFinding({
        card,
        rises: txWindow === undefined ? [] : [txWindow],
        direction: 'tx',
        confidence: txWindow === undefined ? 'possible' : half ? 'certain' : 'likely',
        means: `${card.name} and the port at the other end of the cable do not agree on full duplex: both send at once, and frames are lost.`,
      });
      return [
        {
          ...finding,
          ...(txWindow === undefined
            ? {
                severityAtMost: 'notice' as const,
                means: `${card.name} works in half duplex at ${speedMbps} Mbit/s, which is hardly meant: autonegotiation failed, as a rule.`,
              }
            : {}),
          because: [...finding.because, ...seenDuplex(card)],
          fixes: [
            handFix(card, txWindow === undefined ? [] : [txWindow], {
              id: `negotiate-${card.name}`,
              title: `Let both ends of ${card.name} negotiate speed and duplex`,
              risk: 'disruptive',
              cost: 'the link goes down for a few seconds',
              text: `Switch on autonegotiation at both ends: ethtool -s ${card.name} autoneg on, and the same at the switch port. If one end must be fixed, fix the other to the same speed and duplex.`,
            }),
          ],
        },
      ];
    });
  },
});

function seenDuplex({ name, last }: Card): CauseFinding['because'] {
  const { duplex, speedMbps } = last.nic?.settings ?? {};
  if (duplex === undefined) return [];
  const speed = speedMbps === undefined ? '' : ` at ${speedMbps} Mbit/s`;
  return [
    {
      source: `/sys/class/net/${name}/duplex`,
      text: `${name} works in ${duplex} duplex${speed}`,
      last: duplex,
    },
  ];
}
