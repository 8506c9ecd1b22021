import drops from '../../checks/drops.ts';
import link from '../../checks/link.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule } from '../../src/model/rule.ts';
import { settledLinks } from './device-drops.ts';
import { waitingPorts } from './bond-ports.ts';

export default defineRule({
  id: 'bond-inactive-slave',
  title: 'Frames on the standby port of a bond',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: '`nohandler` of `ip -s -s link` (`rx_nohandler` in /sys) rises on one port of a bond. Traffic is well.',
    kernel:
      'The standby port of an active-backup bond gets the broadcasts of the network, too. `bond_handle_frame` (drivers/net/bonding/bond_main.c) refuses them, and `__netif_receive_skb_core` (net/core/dev.c) counts them in rx_nohandler; as a drop event they carry `UNHANDLED_PROTO`.',
    confirm: '`cat /proc/net/bonding/BOND` shows which port is active.',
    fix: 'None is needed.',
    normal: 'Always, with active-backup.',
    references: [
      'Documentation/networking/statistics.rst, rx_nohandler',
      'drivers/net/bonding/bond_main.c bond_handle_frame (Linux 6.18)',
    ],
  },
  judge({ link }) {
    return waitingPorts(settledLinks(link), link.last)
      .filter(({ mode }) => mode !== '802.3ad')
      .flatMap(({ name, before, now }) => {
        const packets = rise(before.rxNoHandler, now.rxNoHandler);
        if (packets === 0) return [];
        return [
          {
            kind: 'benign' as const,
            text: `Copies of broadcasts that reached ${name}, the standby port of ${now.master ?? 'a bond'}.`,
            claims: [{ reason: 'UNHANDLED_PROTO', interface: name, packets }],
          },
        ];
      });
  },
});
