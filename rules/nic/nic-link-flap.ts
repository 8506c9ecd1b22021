import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import link, { type Link } from '../../checks/link.ts';
import qdisc from '../../checks/qdisc.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding, type Observation } from '../../src/model/rule.ts';
import { kernelSaid } from '../kernel-messages.ts';
import { isChatter } from '../l2/chatter.ts';
import { devicesThatDropped } from '../qdisc/queue-rises.ts';
import { notSent, type NotSent } from '../qdisc/without-link.ts';

/** Down and up again. A link that only came up, or only went down, is no flap. */
const CHANGES = 2;

export default defineRule({
  id: 'nic-link-flap',
  title: 'A link goes down and up',
  needs: { link },
  wants: { drops, qdisc, kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'Connections stall for seconds. The kernel log says `Link is Down` and `Link is Up`; `carrier_changes` of the interface rises.',
    kernel:
      'While there is no carrier the kernel puts the discipline `noop` in the place of the queue (net/sched/sch_generic.c dev_deactivate), which drops everything: `QDISC_DROP` at `__dev_queue_xmit`, counted in `tx_dropped` (not by Linux 6.1). What the other end sends meanwhile is lost without a trace here.',
    confirm:
      '`cat /sys/class/net/INTERFACE/carrier_changes` twice; `ip monitor link`; `journalctl -k | grep -i "link is"`.',
    fix: 'Cable, transceiver or switch port; autonegotiation at both ends; energy saving off (`ethtool --set-eee INTERFACE eee off`); newer driver or firmware. For a virtual link: find what restarts its other end.',
    normal:
      'Once, when somebody restarts the interface or changes its rings, queues or MTU: most drivers take the link down for that.',
    references: ['net/sched/link_watch.c linkwatch_do_dev (Linux 6.18)'],
  },
  judge({ link, drops, qdisc, kernelLog }, window) {
    const queued = devicesThatDropped(qdisc);
    return [...link.last.interfaces].flatMap(([name, last]) => {
      const first = link.first.interfaces.get(name);
      if (first?.ifindex !== last.ifindex || !first.up || !last.up || !hasEnd(last)) return [];
      const changes = rise(first.carrierChanges, last.carrierChanges, 32);
      if (changes < CHANGES) return [];
      // Without a link at the end, link-down-tx counts them; a queue that dropped has a cause of its own.
      const steady = last.operstate === 'up' && !queued.has(name);
      const lost = steady ? notSent({ name, before: first, now: last }, drops) : undefined;
      const packets = lost?.packets ?? 0;
      // The ends of virtual links are made and moved all the time.
      if (last.kind !== undefined && isChatter(packets, window)) return [];
      return finding({
        name,
        first,
        last,
        changes,
        lost: packets === 0 ? undefined : lost,
        said: kernelSaid(kernelLog, 'link-down', name),
      });
    });
  },
});

/** Cards and veth. Bridges, bonds and VLANs only repeat what their ports do. */
function hasEnd({ kind, loopback }: Link): boolean {
  return !loopback && (kind === undefined || kind === 'veth');
}

interface Flap {
  readonly name: string;
  readonly first: Link;
  readonly last: Link;
  readonly changes: number;
  /** Undefined: nothing that is known. */
  readonly lost: NotSent | undefined;
  readonly said: readonly Observation[];
}

function finding({ name, first, last, changes, lost, said }: Flap): CauseFinding {
  const packets = lost?.packets ?? 0;
  return {
    kind: 'cause',
    confidence: 'certain',
    packets,
    traffic: {
      packets: rise(first.txPackets, last.txPackets) + packets,
      what: `packets to be sent through ${name}`,
    },
    scope: { interface: name },
    because: [
      {
        source: `/sys/class/net/${name}/carrier_changes`,
        text: `the link went down or up ${changes} times`,
        first: String(first.carrierChanges),
        last: String(last.carrierChanges),
      },
      ...(lost?.because ?? []),
      ...said,
    ],
    means: `The link of ${name} goes down and comes back. Meanwhile all that is sent is dropped, and what the other end sends is lost unseen.`,
    rulesOut:
      lost === undefined
        ? []
        : [{ id: 'qdisc-overlimit', because: `the queue of ${name} counted no drops` }],
    fixes: [
      {
        id: `steady-link-${name}`,
        title: `Find why the link of ${name} does not stay up`,
        risk: 'disruptive',
        cost: 'the link is down while parts are changed',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'manual',
            text:
              last.kind === undefined
                ? `Unless somebody restarted ${name}: change cable, transceiver and switch port in turn; use autonegotiation at both ends; try without energy saving: ethtool --set-eee ${name} eee off.`
                : `Find what sets the other end of ${name} down and up: ip monitor link, in the namespace of that end.`,
          },
        ],
      },
    ],
    claims: lost?.claims ?? [],
  };
}
