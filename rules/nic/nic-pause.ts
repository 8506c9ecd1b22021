import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cardFinding } from './card-finding.ts';
import { cards, kindRises, most } from './cards.ts';

/** One pause frame stops a port for up to 65,535 x 512 bit times: 33 ms at 1 Gbit/s. Ten may take a third of a second. */
const PAUSES_PER_SECOND = 10;

export default defineRule({
  id: 'nic-pause',
  title: 'Flow control stops the link again and again',
  needs: { link, ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'Throughput stays below the speed of the link, and a statistic of pause frames rises (`rx_flow_control_xoff`, `rx_pause_ctrl_phy` …).',
    kernel:
      'With flow control (IEEE 802.3x) a port that is nearly full asks the other end to stop for a moment. Frames received mean that the switch stops this host: its transmit queue grows. Frames sent mean that this host takes packets too slowly: without them, its ring would lose packets. All traffic of the port waits, whoever caused it.',
    confirm:
      '`ethtool -a INTERFACE` shows whether flow control is on; `ethtool -S INTERFACE | grep -iE "pause|xoff"` twice.',
    fix: 'Make the slow side faster. `ethtool -A INTERFACE rx off tx off` ends the waiting, and the packets are lost instead; the link may restart.',
    normal: 'Pause frames in bursts: they keep packets from being lost.',
    references: [
      'IEEE 802.3 annex 31B',
      'Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst, tx_pause_storm_warning_events',
    ],
  },
  judge({ link, ethtool }, { seconds }) {
    return cards(link, ethtool).flatMap((card) => {
      const storms = kindRises(card, 'pauseStorm');
      const often = (kind: 'rxPause' | 'txPause') =>
        kindRises(card, kind).filter(({ by }) => by > PAUSES_PER_SECOND * seconds);
      const sent = often('txPause');
      const received = often('rxPause');
      const rises = [...storms, ...sent, ...received];
      if (most(rises) === undefined) return [];
      const finding = cardFinding({
        card,
        rises,
        direction: received.length > 0 ? 'tx' : 'rx',
        confidence: storms.length > 0 ? 'certain' : 'possible',
        // Packets wait; none is lost by that.
        packets: 0,
        means:
          sent.length + storms.length > 0
            ? `${card.name} asks the switch to stop again and again: this host takes packets too slowly. They wait in the switch, or are lost there.`
            : `The switch asks ${card.name} to stop again and again: packets wait here until they may be sent.`,
      });
      return [{ ...finding, severityAtMost: 'notice' as const }];
    });
  },
});
