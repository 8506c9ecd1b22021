import subnets, { type ArpSettings } from '../../checks/subnets.ts';
import { defineRule } from '../../src/model/rule.ts';

/** Networks that many interfaces are in by design: addresses a host gives itself, and single hosts. */
const BY_DESIGN = /^169\.254\.|^[^/]*$|\/32$/;

export default defineRule({
  id: 'arp-conflict-or-flux',
  title: 'Several interfaces are in one subnet and answer ARP for each other',
  needs: { subnets },
  reviewed: '2026-11-22',
  explain: {
    see: 'Peers see the hardware address of this host change; connections stall for a while; switches log an address that moves between ports.',
    kernel:
      'An IPv4 address belongs to the host, not to an interface: by default `arp_process` (net/ipv4/arp.c) answers on every interface for every local address, and ARP requests carry any of them as sender. With two interfaces in one subnet both answer, and the peer takes the last one (ARP flux). No drop event, no counter.',
    confirm:
      '`ip -4 route show proto kernel scope link`: one network on two interfaces; on a peer `arping -c 3 ADDRESS`: answers from two hardware addresses.',
    fix: 'Better: one interface for each subnet, or a bond. Otherwise `arp_ignore=1` and `arp_announce=2` on the interfaces, or `arp_filter=1` with source routing.',
    normal:
      'While a host moves from one interface to another; where both lead to the same switch and nobody minds.',
    references: ['Documentation/networking/ip-sysctl.rst, arp_filter, arp_ignore, arp_announce'],
  },
  judge({ subnets }) {
    return subnets.last.shared.flatMap(({ network, interfaces }) => {
      const names = [...interfaces].filter(([, settings]) => answersForAll(settings));
      if (BY_DESIGN.test(network) || names.length < 2) return [];
      const list = names.map(([name]) => name);
      return [
        {
          kind: 'cause',
          confidence: 'possible',
          packets: 0,
          severityAtMost: 'notice',
          scope: {},
          because: [
            {
              source: 'ip -4 route show table main proto kernel scope link',
              text: `${network} is on ${list.join(', ')}`,
            },
            {
              source: 'sysctl net.ipv4.conf',
              text: `arp_ignore and arp_filter are 0 on ${list.join(', ')}`,
            },
          ],
          means: `${list.join(' and ')} are in the subnet ${network}, and each answers ARP for the other: peers may send to the wrong one.`,
          rulesOut: [],
          fixes: [
            {
              id: `separate-${network}`,
              title: 'Let each interface answer for its own addresses only',
              risk: 'caution',
              cost: 'failover from one interface to the other by ARP no longer works',
              takesEffect: 'at-once',
              steps: [
                {
                  kind: 'manual',
                  text: `For each of ${list.join(', ')}: sysctl -w net.ipv4.conf.INTERFACE.arp_ignore=1 net.ipv4.conf.INTERFACE.arp_announce=2. Better: a bond, or one subnet for each interface.`,
                },
              ],
            },
          ],
          claims: [],
        },
      ];
    });
  },
});

function answersForAll({ arp_ignore, arp_filter }: ArpSettings): boolean {
  return arp_ignore === 0 && arp_filter === 0;
}
