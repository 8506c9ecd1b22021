import drops from '../../checks/drops.ts';
import qdisc, { type Qdisc } from '../../checks/qdisc.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import { unspecified } from '../benign.ts';
import { fixesFor, shaperOf } from './queue-fixes.ts';
import { queueRises, type ClassRise, type QueueRise } from './queue-rises.ts';

/** Up to here the loss is how TCP finds the speed of a link that is used to capacity. */
const PROBING_SHARE = 0.01;
/** What drops in a queue are called: the last three by kernels of which reasons were refined (6.14). */
const REASONS = [
  'QDISC_DROP',
  'QDISC_OVERLIMIT',
  'FQ_BAND_LIMIT',
  'FQ_FLOW_LIMIT',
  'FQ_HORIZON_LIMIT',
];
/** Where queues give back what they do not take, on kernels without reasons. */
const LOCATIONS = [
  '__dev_queue_xmit',
  'dev_queue_xmit',
  '__dev_xmit_skb',
  'qdisc_drop',
  'pfifo_enqueue',
  'bfifo_enqueue',
  'pfifo_fast_enqueue',
  'tbf_enqueue',
  'htb_enqueue',
  'fq_enqueue',
  'fq_codel_enqueue',
  'sfq_enqueue',
  'cake_enqueue',
  'netem_enqueue',
];

export default defineRule({
  id: 'qdisc-overlimit',
  title: 'A send queue is full',
  needs: { qdisc },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Sending is slow or loses packets: TCP retransmits, UDP programs get ENOBUFS or nothing at all. `tc -s qdisc` counts `dropped`.',
    kernel:
      'Each interface sends from a queueing discipline. When it is over its limit `__dev_queue_xmit` (net/core/dev.c) frees the packet: `QDISC_DROP`, on newer kernels `QDISC_OVERLIMIT` or `FQ_…_LIMIT`. Drops of a leaf are counted by its parents as well. A UDP datagram of this host counts in `IpOutDiscards` and `UdpSndbufErrors`, too: that is one loss, not three.',
    confirm:
      '`tc -s qdisc show dev INTERFACE` twice: `dropped` rises; with a shaper `overlimits` rises much faster; `backlog` is near the limit.',
    fix: 'With a shaper (tbf, htb, cake …): raise its rate or its burst, or send less. Without one the link is full: a fair queue with short delays (`tc qdisc replace dev INTERFACE root fq_codel`) hurts less than a longer one. A longer queue (`ip link set INTERFACE txqueuelen N`) helps only against short bursts.',
    normal:
      'On a link used to capacity TCP fills the queue until it drops: up to about one packet in a hundred.',
    references: ['net/core/dev.c __dev_xmit_skb (Linux 6.18)', 'tc(8), tc-fq_codel(8), tc-tbf(8)'],
  },
  judge({ qdisc }) {
    return queueRises(qdisc)
      .map((queue) => ({ queue, packets: queue.dropped - queue.early }))
      .filter(({ packets }) => packets > 0)
      .map(({ queue, packets }) => finding(queue, packets));
  },
});

function finding(queue: QueueRise, packets: number): CauseFinding {
  const { device, root, leaf, class: share, dropped, early, passed, first, last } = queue;
  const offered = passed + dropped;
  const probing = packets <= offered * PROBING_SHARE && leaf.kind !== 'netem';
  return {
    kind: 'cause',
    confidence: 'certain',
    packets,
    traffic: { packets: offered, what: `packets sent through ${device}` },
    ...(probing ? { severityAtMost: 'notice' as const } : {}),
    scope: { interface: device, ...(share !== undefined && { rule: nameOf(share) }) },
    because: [
      {
        source: `tc -s qdisc show dev ${device}`,
        text: `${packets} packets found the ${root.kind} queue of ${device} full, ${passed} went through`,
        first: String(first),
        last: String(last),
      },
      ...(share === undefined
        ? []
        : [
            {
              source: `tc -s class show dev ${device}`,
              text: `${share.rise} of them in ${nameOf(share)}${settingsOf(share)}`,
            },
          ]),
      ...(leaf === root
        ? []
        : [
            {
              source: `tc -s qdisc show dev ${device}`,
              text: `most of them in the ${leaf.kind} queue ${leaf.handle} below ${leaf.parent ?? 'the root'}`,
            },
          ]),
      {
        source: `tc -s qdisc show dev ${device}`,
        text: `${leaf.queueLength} packets (${leaf.backlogBytes} bytes) wait there now${limitOf(leaf)}`,
      },
    ],
    means: meaning(queue, probing),
    rulesOut: [
      { id: 'link-down-tx', because: 'a queue without a link below it counts no drops' },
      ...(early === 0
        ? []
        : [
            { id: 'qdisc-aqm', because: `the ${early} drops of active queue management are apart` },
          ]),
    ],
    fixes: fixesFor(queue),
    claims: [
      { reason: REASONS, interface: device, packets },
      ...unspecified({ location: LOCATIONS, packets }),
    ],
  };
}

function nameOf({ kind, id }: ClassRise): string {
  return `${kind} class ${id}`;
}

function settingsOf({ settings }: ClassRise): string {
  return settings === '' ? '' : ` (${settings})`;
}

function meaning({ device, root, leaf, class: share }: QueueRise, probing: boolean): string {
  if (leaf.kind === 'netem' || root.kind === 'netem') {
    return `The netem discipline on ${device} loses packets on purpose: somebody emulates a bad network there.`;
  }
  if (share !== undefined) {
    return `More is sent through ${device} than its ${nameOf(share)} lets through${settingsOf(share)}.`;
  }
  const shaper = shaperOf(root, leaf);
  if (shaper !== undefined) {
    return `More is sent through ${device} than its ${shaper.kind} discipline lets through${rateOf(shaper)}.`;
  }
  return probing
    ? `${device} is used to capacity, and its queue overflows now and then. That is how TCP finds the speed of a link.`
    : `More is sent through ${device} than the link below takes, and its queue is full.`;
}

/** tc prints bytes a second. */
function rateOf({ options }: Qdisc): string {
  const rate = options['rate'] ?? options['bandwidth'];
  return typeof rate === 'number' ? ` (${(rate * 8).toLocaleString('en-US')} bit/s)` : '';
}

function limitOf({ options }: Qdisc): string {
  const limit = options['limit'];
  return typeof limit === 'number' ? `; the limit is ${limit}` : '';
}
