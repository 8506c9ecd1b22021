import drops from '../../checks/drops.ts';
import link, { type Link } from '../../checks/link.ts';
import qdisc from '../../checks/qdisc.ts';
import { rise } from '../../src/model/counter.ts';
import type { DropCapture } from '../../src/model/drops.ts';
import {
  defineRule,
  type BenignFinding,
  type CauseFinding,
  type JudgeWindow,
} from '../../src/model/rule.ts';
import { isChatter } from '../l2/chatter.ts';
import { onlyToGroups } from '../to-groups.ts';
import { devicesThatDropped } from './queue-rises.ts';
import { notSent, seenAt, type NotSent, type WithoutLink } from './without-link.ts';

/** Operational states without a carrier (RFC 2863). */
const WITHOUT_LINK: ReadonlySet<string> = new Set([
  'down',
  'lowerlayerdown',
  'notpresent',
  'dormant',
]);

export default defineRule({
  id: 'link-down-tx',
  title: 'Packets are sent into an interface that has no link',
  needs: { link },
  wants: { drops, qdisc },
  reviewed: '2026-11-22',
  explain: {
    see: 'Nothing answers behind one interface. `ip link` shows `NO-CARRIER` or `state DOWN`; `tx dropped` rises, while `tc -s qdisc` counts no drops.',
    kernel:
      'While an interface has no carrier the kernel puts the discipline `noop` in the place of its queue (net/sched/sch_generic.c dev_deactivate), which drops everything: `QDISC_DROP` at `__dev_queue_xmit`, or at `kfree_skb_list_reason` (6.1, which does not count them). Routes through the interface stay, unless `ignore_routes_with_linkdown` is set.',
    confirm:
      '`ip -s link show INTERFACE` (state, TX dropped); `ethtool INTERFACE` (Link detected); `ip route get DESTINATION` shows that the route leads there.',
    fix: 'Plug in the cable, bring up the other end, or take the interface down (`ip link set INTERFACE down`), so that its routes go. `sysctl -w net.ipv4.conf.INTERFACE.ignore_routes_with_linkdown=1` lets routing avoid a dead link where there is another way.',
    normal:
      'A few packets a minute on an unused interface or an empty bridge: router solicitations, mDNS, DHCP.',
    references: ['net/sched/sch_generic.c noop_enqueue, dev_deactivate_many (Linux 6.18)'],
  },
  judge({ link, qdisc, drops }, window) {
    const queued = devicesThatDropped(qdisc);
    return [...link.last.interfaces].flatMap(([name, now]) => {
      // A link that came back in the window dropped before; one whose queue counted was not without it.
      if (!isWithoutLink(now) || queued.has(name)) return [];
      const dead = { name, before: link.first.interfaces.get(name), now };
      const lost = notSent(dead, drops);
      if (lost.packets === 0) return [];
      return isOnlyChatter(name, lost, drops, window) ? chatter(lost) : loss(dead, lost, window);
    });
  },
});

function isWithoutLink({ operstate, up }: Link): boolean {
  return up && WITHOUT_LINK.has(operstate);
}

function chatter({ claims }: NotSent): BenignFinding {
  return {
    kind: 'benign',
    text: 'What interfaces without a link are asked to send now and then: router solicitations, mDNS, DHCP.',
    claims,
  };
}

function loss(
  { name, before, now }: WithoutLink,
  { packets, because, claims }: NotSent,
  window: JudgeWindow,
): CauseFinding {
  const sent = rise(before?.txPackets, now.txPackets);
  return {
    kind: 'cause',
    confidence: sent === 0 ? 'certain' : 'likely',
    packets,
    traffic: { packets: packets + sent, what: `packets to be sent through ${name}` },
    ...(isChatter(packets, window) ? { severityAtMost: 'notice' as const } : {}),
    scope: { interface: name },
    because: [
      ...because,
      {
        source: `/sys/class/net/${name}/operstate`,
        text: `${name} is up, but its link is ${now.operstate}`,
        last: now.operstate,
      },
    ],
    means: `${name} has no link: cable, other end or lower interface. What is routed there is lost.`,
    rulesOut: [{ id: 'qdisc-overlimit', because: `the queue of ${name} counted no drops` }],
    fixes: [
      {
        id: `mend-link-${name}`,
        title: `Bring back the link of ${name}, or take it out of use`,
        risk: 'disruptive',
        cost: 'an interface that is taken down loses its routes',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'manual',
            text: `Look at the other end of ${name}: the cable, the switch port, the peer of a veth, the ports of a bridge. If ${name} is not needed: ip link set ${name} down.`,
          },
        ],
      },
    ],
    claims,
  };
}

/**
 * For groups or everybody, as far as it is known; or so little that it hardly can be anything else: DHCP, router
 * solicitations, mDNS. A bridge without ports, as Docker leaves behind, has no link either.
 */
function isOnlyChatter(
  name: string,
  { packets }: NotSent,
  capture: DropCapture | undefined,
  window: JudgeWindow,
): boolean {
  return onlyToGroups(seenAt(name, capture)) ?? isChatter(packets, window);
}
