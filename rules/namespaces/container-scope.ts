import drops from '../../checks/drops.ts';
import { findReason } from '../../src/catalogue/reasons.ts';
import { defineRule } from '../../src/model/rule.ts';

/** As often as any host on the Internet is probed (policySeverity): fewer in all containers together are no news. */
const LOST_PER_SECOND = 10;
/** More namespaces than these are counted, not named. */
const NAMED_NAMESPACES = 3;

export default defineRule({
  id: 'container-scope',
  title: 'Packets are lost in other network namespaces of this machine',
  needs: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A container, pod or service loses packets, and no counter of the host moves.',
    kernel:
      'Each network namespace has interfaces, sockets, counters (`/proc/net/snmp`, `/proc/net/netstat`), a firewall, connection tracking and most `net.ipv4` settings of its own. What is read in one of them says nothing of another. `tcp_mem`, `udp_mem`, the neighbour table limits, `netdev_max_backlog` and the CPUs are the machine’s.',
    confirm:
      '`lsns -t net` lists the namespaces with a process of each; `nsenter -t PID -n nstat -az` shows the counters of one.',
    fix: 'Look there: `whydrop report --netns all`, or `whydrop report --netns NAME` for one. A setting that cures it must be changed in that namespace (for a container: where it is defined).',
    normal: 'While somebody tests there.',
    references: ['man 7 network_namespaces', 'net/core/net_namespace.c (Linux 6.18)'],
  },
  judge({ drops: { others = [] } }, { seconds }) {
    // Of some reasons only that namespace can say whether they are a fault.
    const lost = others.filter(
      ({ reason }) => reason !== null && findReason(reason)?.harmless === 'never',
    );
    const byNamespace = new Map<number, number>();
    for (const { details, packets } of lost) {
      const netns = details?.netns ?? null;
      if (netns !== null) byNamespace.set(netns, (byNamespace.get(netns) ?? 0) + packets);
    }
    const ranked = [...byNamespace].sort(([, a], [, b]) => b - a);
    const packets = ranked.reduce((sum, [, packets]) => sum + packets, 0);
    if (packets === 0 || packets < LOST_PER_SECOND * seconds) return [];
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        // None of this namespace.
        packets: 0,
        severityAtMost: 'notice',
        scope: {},
        because: ranked.slice(0, NAMED_NAMESPACES).map(([netns, packets]) => ({
          source: 'skb:kfree_skb',
          text: `${packets} packets were lost in the network namespace with the inode number ${netns}`,
        })),
        means: `${ranked.length === 1 ? 'Another network namespace' : `${ranked.length} other network namespaces`} of this machine (a container, a pod, a service) lost ${packets} packets for reasons that are never harmless. This report is not about them: their counters and settings are their own.`,
        rulesOut: [],
        fixes: [
          {
            id: 'look-there',
            title: 'Look into the other network namespaces',
            risk: 'none',
            cost: 'None.',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'command',
                argv: ['whydrop', 'report', '--netns', 'all'],
                why: 'looks into each, and names the containers and services that lose packets',
              },
            ],
          },
        ],
        claims: [],
      },
    ];
  },
});
