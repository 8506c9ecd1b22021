import netlink, { type NetlinkSocket } from '../../checks/netlink.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule } from '../../src/model/rule.ts';

/** include/uapi/linux/netlink.h; those that daemons listen to. */
const FAMILIES: ReadonlyMap<number, string> = new Map([
  [0, 'routes, addresses and interfaces'],
  [4, 'socket diagnosis'],
  [6, 'IPsec'],
  [9, 'audit'],
  [12, 'netfilter and conntrack'],
  [15, 'device events (udev)'],
  [16, 'generic netlink'],
]);
/** More sockets than these are not named. */
const NAMED_SOCKETS = 5;

export default defineRule({
  id: 'netlink-overrun',
  title: 'A program misses messages of the kernel (netlink)',
  needs: { netlink },
  reviewed: '2026-11-22',
  explain: {
    see: 'A routing daemon, keepalived or NetworkManager logs "No buffer space available" or "netlink overrun", and then knows routes or interfaces wrongly until it asks for all of them again. No packets are lost.',
    kernel:
      'The kernel tells programs of changes through netlink sockets. One whose receive buffer is full misses the message: `netlink_overrun` (net/netlink/af_netlink.c) counts it in the drops of the socket and gives the program ENOBUFS. There is no drop event for it (Linux 6.18).',
    confirm:
      '`cat /proc/net/netlink`: Drops; Pid is usually the number of the process. `ss -f netlink -a` lists them as well.',
    fix: 'A larger receive buffer in the configuration of the program (BIRD `netlink rx buffer`, keepalived `vrrp_netlink_cmd_rcv_bufs`, conntrackd `NetlinkBufferSize`); `net.core.rmem_max` limits what it may ask for, unless it is root and uses SO_RCVBUFFORCE.',
    normal:
      'Once, when very many routes or connections change at a time; good programs notice and ask again.',
    references: ['net/netlink/af_netlink.c netlink_overrun (Linux 6.18)', 'netlink(7), ENOBUFS'],
  },
  judge({ netlink: { first, last } }) {
    const losing = [...last.sockets]
      .map(([inode, socket]) => {
        const before = first.sockets.get(inode)?.drops;
        return { socket, before, lost: rise(before, socket.drops) };
      })
      .filter(({ lost }) => lost > 0)
      .sort((a, b) => b.lost - a.lost);
    const [main] = losing;
    if (main === undefined) return [];
    const { portId, program } = main.socket;
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        // Messages inside the machine, no packets.
        packets: 0,
        severityAtMost: 'notice',
        scope: program === undefined ? {} : { process: { pid: portId, name: program } },
        because: losing.slice(0, NAMED_SOCKETS).map(({ socket, before, lost }) => ({
          source: `/proc/net/netlink Pid ${socket.portId} Drops`,
          text: `${lost} messages about ${aboutOf(socket)} did not fit into the receive buffer of ${nameOf(socket)}`,
          first: String(before),
          last: String(socket.drops),
        })),
        means: `${nameOf(main.socket)} does not read the messages of the kernel about ${aboutOf(main.socket)} as fast as they come, so it may not know of some changes. No packets are lost by that alone.`,
        rulesOut: [],
        fixes: [
          {
            id: 'larger-netlink-buffer',
            title: `Give ${nameOf(main.socket)} a larger netlink receive buffer`,
            risk: 'caution',
            cost: 'Some memory while messages wait.',
            steps: [
              {
                kind: 'manual',
                text: 'Raise its netlink receive buffer in its configuration, and restart it. Until then, let it read everything anew (reload).',
              },
            ],
            takesEffect: 'new-sockets',
          },
        ],
        claims: [],
      },
    ];
  },
});

function aboutOf({ family }: NetlinkSocket): string {
  return FAMILIES.get(family) ?? `netlink family ${family}`;
}

function nameOf({ portId, program }: NetlinkSocket): string {
  return program === undefined ? `netlink socket ${portId}` : `${program} (pid ${portId})`;
}
