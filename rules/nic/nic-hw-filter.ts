import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cardFinding } from './card-finding.ts';
import { cards, kindRises } from './cards.ts';

export default defineRule({
  id: 'nic-hw-filter',
  title: 'A filter of the network card refuses frames',
  needs: { link, ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'A statistic of refused frames rises (`rx_steer_missed_packets`, `mac_filter_discards`, `tx_spoof_check_err` …). Something with an address of its own (macvlan, VRRP, nested virtual machine) gets nothing.',
    kernel:
      'The card passes on only frames for addresses and VLANs that the kernel asked for. A virtual function may also be forbidden to send from another address (spoof check). Such frames never reach the kernel.',
    confirm:
      '`ethtool -S INTERFACE` twice; `ethtool -u INTERFACE` lists filters of flows; on the host of a virtual function, `ip link show dev PF` shows its address, VLAN and spoof check.',
    fix: 'Only if something misses packets: allow the address or the VLAN at the physical function (`ip link set PF vf N …`), allow promiscuous mode and forged transmits on the virtual switch, delete a stale filter (`ethtool -N INTERFACE delete N`).',
    normal:
      'Mostly: a switch floods frames for other hosts, and multicast nobody asked for here. The card saves the CPU that work.',
    references: [
      'Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst, rx_steer_missed_packets',
    ],
  },
  judge({ link, ethtool }) {
    return cards(link, ethtool).flatMap((card) => {
      const rises = kindRises(card, 'filter');
      if (rises.length === 0) return [];
      const finding = cardFinding({
        card,
        rises,
        direction: 'rx',
        confidence: 'possible',
        // As a rule nobody wanted them: they are no loss unless somebody misses them.
        packets: 0,
        means: `The card of ${card.name} refused frames by their address, VLAN or flow. That is its work, unless a virtual machine, macvlan or VRRP on this host misses packets.`,
      });
      return [{ ...finding, severityAtMost: 'notice' as const }];
    });
  },
});
