import drops from '../../checks/drops.ts';
import link, { type Links } from '../../checks/link.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { EtherType, type DropCount } from '../../src/model/drops.ts';
import { defineRule } from '../../src/model/rule.ts';

/** Each interface that comes up sends some five packets; dozens of containers a second are no normal host. */
const START_UP_PACKETS_PER_SECOND = 20;

const REASONS = ['NOT_SPECIFIED', 'QDISC_DROP', 'NO_TX_TARGET'];
const LOCATIONS = [
  // The other end of a veth pair is not up.
  '__dev_forward_skb',
  '__dev_forward_skb2',
  'dev_forward_skb',
  'veth_xmit',
  // Without carrier the queue refuses everything (noop_enqueue, net/sched/sch_generic.c).
  '__dev_queue_xmit',
  '__dev_xmit_skb',
  'noop_enqueue',
  // A bridge without ports.
  'br_dev_xmit',
  'br_flood',
  // A tunnel without peers.
  'vxlan_xmit',
];

export default defineRule({
  id: 'link-start-up',
  title: 'Interfaces come up and go away',
  needs: { link },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'A few IPv6 drop events when a container or a virtual interface starts or stops.',
    kernel:
      'An interface that is set up announces itself at once: duplicate address detection, multicast listener reports, router solicitations. If the other end of a veth pair is not up yet, `__dev_forward_skb2` (net/core/dev.c) frees them; if there is no carrier yet, the placeholder queue does (`QDISC_DROP`); a bridge without ports, or a VXLAN without peers, has nowhere to send them (`NO_TX_TARGET`). The kernel repeats them.',
    confirm:
      '`ip monitor link` shows interfaces come and go; `ip -s link` shows whose `dropped` rises.',
    fix: 'None is needed. If an interface that is up for long keeps dropping what it sends, look at its other end: it is down, or its MTU is smaller.',
    normal: 'Always when interfaces come up.',
    references: [
      'net/core/dev.c __dev_forward_skb2 (Linux 6.18)',
      'net/sched/sch_generic.c noop_enqueue (Linux 6.18)',
      'net/ipv6/addrconf.c addrconf_dad_start (Linux 6.18)',
    ],
  },
  judge({ drops, link }, { seconds }) {
    const packets = (drops?.drops ?? [])
      .filter(isAnnouncement)
      .reduce((sum, { packets }) => sum + packets, 0);
    if (packets > START_UP_PACKETS_PER_SECOND * seconds) return [];
    const which = {
      location: LOCATIONS,
      protocol: EtherType.IPv6,
      packets: Math.max(0, packets - droppedBySettled(link)),
    };
    return [
      {
        kind: 'benign',
        text: 'IPv6 announcements of interfaces whose other end was not up yet. The kernel repeats them.',
        claims: [
          { reason: REASONS, ...which },
          { reason: null, ...which },
        ],
      },
    ];
  },
});

/** Only IPv6 sends something by itself when an interface comes up. */
function isAnnouncement({ reason, location, protocol }: DropCount): boolean {
  return (
    protocol === EtherType.IPv6 &&
    LOCATIONS.includes(location) &&
    (reason === null || REASONS.includes(reason))
  );
}

/** What interfaces dropped that were up all the time: that is loss, whoever lost it. */
function droppedBySettled({ first, last }: Sampled<Links>): number {
  let dropped = 0;
  for (const [name, now] of last.interfaces) {
    const before = first.interfaces.get(name);
    if (before?.ifindex !== now.ifindex || !before.up || !now.up) continue;
    if (before.carrierChanges !== now.carrierChanges) continue;
    dropped += rise(before.txDropped, now.txDropped);
  }
  return dropped;
}
