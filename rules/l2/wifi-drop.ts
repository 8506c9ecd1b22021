import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import { subsystemReasons } from '../../src/catalogue/reasons/subsystems.ts';
import { rise } from '../../src/model/counter.ts';
import type { DropCount } from '../../src/model/drops.ts';
import { defineRule, type Claim, type Finding } from '../../src/model/rule.ts';
import { dropsWhere } from '../protocol-counters.ts';

const KNOWN = subsystemReasons.filter(({ causes }) => causes.includes('wifi-drop'));
const SERIOUS = new Set(
  KNOWN.filter(({ harmless }) => harmless === 'never').map(({ name }) => name),
);
const ANY = /^(?:RX_DROP_|MAC80211)/;
const LOCATIONS = /^(?:ieee80211_|cfg80211_)/;
/** netdata's net.conf leaves Wi-Fi a tenth of its packets: radio repeats and loses by nature. */
const WEAK_SHARE = 0.1;
/** So that a tenth is ten frames: in fewer, a share says nothing. */
const WEAK_FRAMES = 100;

export default defineRule({
  id: 'wifi-drop',
  title: 'Wi-Fi frames are dropped',
  needs: { drops },
  wants: { link },
  reviewed: '2026-11-22',
  explain: {
    see: 'Wi-Fi is slow or comes and goes.',
    kernel:
      'The Wi-Fi layer (net/mac80211/rx.c) has drop reasons of its own since 6.4: frames received twice (`RX_DROP_U_DUP`), out of order (`RX_DROP_U_REPLAY`), or not to be decrypted (`RX_DROP_U_DECRYPT_FAIL`, `RX_DROP_U_MIC_FAIL`). tracefs shows their numbers only.',
    confirm:
      '`iw dev INTERFACE link` and `iw dev INTERFACE station dump`: signal, `rx drop misc`, `tx retries`, `tx failed`.',
    fix: 'A better signal, another channel. Frames that cannot be decrypted: connect again, so that new keys are made; then a newer driver or access point firmware.',
    normal: 'Frames that come twice, always. A few per cent of others where the signal is weak.',
    references: ['net/mac80211/drop.h, net/mac80211/rx.c (Linux 6.18)'],
  },
  judge({ drops: capture, link }, { severalNetns }) {
    const all = dropsWhere(capture, isWifi);
    const serious = dropsWhere(
      capture,
      (drop) => isWifi(drop) && drop.reason !== null && SERIOUS.has(drop.reason),
    );
    const benign: Finding = {
      kind: 'benign',
      text: 'Wi-Fi frames that came twice, out of order or for others, as radio does.',
      claims: claimsFor(all.drops),
    };
    let received = 0;
    for (const [name, { rxPackets }] of link?.last.interfaces ?? []) {
      received += rise(link?.first.interfaces.get(name)?.rxPackets, rxPackets);
    }
    const isWeak = serious.packets >= WEAK_FRAMES && serious.packets > received * WEAK_SHARE;
    if (!isWeak || severalNetns) return [benign];
    return [
      benign,
      {
        kind: 'cause',
        confidence: 'likely',
        packets: serious.packets,
        traffic: { packets: received + serious.packets, what: 'frames received' },
        severityAtMost: 'warning',
        scope: {},
        because: serious.drops.map(({ reason, packets }) => ({
          source: 'skb:kfree_skb',
          text: `${packets} frames with the reason ${reason ?? 'unknown'}`,
        })),
        means:
          'Many Wi-Fi frames cannot be decrypted or used: the signal is weak or disturbed, or the keys do not fit.',
        rulesOut: [],
        fixes: [
          {
            id: 'look-at-signal',
            title: 'Look at the signal, and connect again',
            risk: 'none',
            cost: 'A moment without network.',
            steps: [
              {
                kind: 'manual',
                text: 'iw dev INTERFACE link shows the signal (below -75 dBm is weak). Move, change the channel, or connect again, so that new keys are made.',
              },
            ],
            takesEffect: 'at-once',
          },
        ],
        claims: claimsFor(serious.drops),
      },
    ];
  },
});

function isWifi({ reason, location, module }: DropCount): boolean {
  return (reason !== null && ANY.test(reason)) || module === 'mac80211' || LOCATIONS.test(location);
}

function claimsFor(drops: readonly DropCount[]): readonly Claim[] {
  return drops.map(({ reason, location }) => ({ reason, location }));
}
