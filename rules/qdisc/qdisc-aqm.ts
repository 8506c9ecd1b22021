import drops from '../../checks/drops.ts';
import qdisc from '../../checks/qdisc.ts';
import { IPPROTO_TCP, packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { defineRule, type CauseFinding, type Claim } from '../../src/model/rule.ts';
import { unspecified } from '../benign.ts';
import { isChatter } from '../l2/chatter.ts';
import { fixesFor } from './queue-fixes.ts';
import { queueRises, type QueueRise } from './queue-rises.ts';

/** Up to here it is how TCP learns the speed of a link; a fiftieth is felt. */
const LEARNING_SHARE = 0.02;

const REASONS = ['QDISC_CONGESTED', 'DUALPI2_STEP_DROP', 'CAKE_FLOOD'];
/** Where CoDel and its relatives drop at the head of the queue; full queues drop elsewhere (enqueue). */
const LOCATIONS = [
  'codel_dequeue',
  'codel_qdisc_dequeue',
  '__codel_qdisc_dequeue',
  'fq_codel_dequeue',
  // Debian's 6.1.0-56 and 6.12.117, where fq_codel is the default.
  '__fq_codel_dequeue',
  'cake_dequeue',
  'cake_dequeue_one',
  'pie_drop_early',
  'pie_process_dequeue',
  'pie_qdisc_dequeue',
  'fq_pie_qdisc_dequeue',
  'dualpi2_qdisc_dequeue',
  'dequeue_func',
  'drop_func',
];

export default defineRule({
  id: 'qdisc-aqm',
  title: 'A queue drops what waits too long, to keep delays short',
  needs: {},
  wants: { drops, qdisc },
  reviewed: '2026-11-22',
  explain: {
    see: '`tc -s qdisc` counts some drops while the backlog stays short.',
    kernel:
      'fq_codel, cake, pie and their relatives drop (or mark) packets that waited too long, before the queue is full: `QDISC_CONGESTED` (net/sched; without a reason before 6.14). A full queue is something else: `QDISC_OVERLIMIT` or `QDISC_DROP`.',
    confirm:
      '`tc -s qdisc show dev INTERFACE`: `drop_overlimit` stays, `ecn_mark` and `dropped` rise slowly.',
    fix: 'None up to two in a hundred packets. More: the link or the shaped rate is too small for what is offered, or somebody sends without heeding loss (UDP). `sysctl -w net.ipv4.tcp_ecn=1` lets TCP be marked instead of dropped.',
    normal: 'On every link that is used to capacity.',
    references: ['net/sched/sch_fq_codel.c, include/net/codel_impl.h (Linux 6.18)', 'RFC 8289'],
  },
  judge({ qdisc, drops }, window) {
    const heavy = queueRises(qdisc).filter(
      ({ early, passed, dropped }) =>
        early > (passed + dropped) * LEARNING_SHARE && !isChatter(early, window),
    );
    return [
      ...heavy.map((queue) => congested(queue, drops)),
      {
        kind: 'benign',
        text: 'Packets that a queue with active management (fq_codel, cake, pie) dropped on purpose: that is how TCP learns the speed of the link.',
        claims: [{ reason: REASONS }, ...unspecified({ location: LOCATIONS })],
      },
    ];
  },
});

function congested(queue: QueueRise, capture: DropCapture | undefined): CauseFinding {
  const heedless = isHeedless(queue, capture);
  const { device, leaf, early: packets, passed, dropped, first, last } = queue;
  const offered = passed + dropped;
  const claims: readonly Claim[] = [
    { reason: REASONS, interface: device, packets },
    ...unspecified({ location: LOCATIONS, packets }),
  ];
  return {
    kind: 'cause',
    confidence: 'certain',
    packets,
    traffic: { packets: offered, what: `packets sent through ${device}` },
    severityAtMost: heedless ? 'warning' : 'notice',
    scope: { interface: device },
    because: [
      {
        source: `tc -s qdisc show dev ${device}`,
        text: `${leaf.kind} dropped ${packets} packets that had waited too long, ${passed} went through`,
        first: String(first),
        last: String(last),
      },
      {
        source: `tc -s qdisc show dev ${device}`,
        text: `${leaf.queueLength} packets (${leaf.backlogBytes} bytes) wait there now`,
      },
    ],
    means: heedless
      ? `More is sent through ${device} than the line takes, and most of what is dropped is not TCP: its senders do not slow down for it.`
      : `More is sent through ${device} than the line takes: many connections share it, and each is slowed down by dropping.`,
    rulesOut: [
      { id: 'qdisc-overlimit', because: 'the queue was not full: it drops what waits too long' },
    ],
    fixes: fixesFor(queue),
    claims,
  };
}

/** Most of it is no TCP, which slows down when packets are dropped. Only where the capture tells protocols. */
function isHeedless({ device }: QueueRise, capture: DropCapture | undefined): boolean {
  const seen = (capture?.drops ?? []).filter(
    ({ reason, location, details }) =>
      details?.interface === device &&
      (REASONS.includes(reason ?? '') || LOCATIONS.includes(location)),
  );
  const ofTcp = seen.filter(({ details }) => details?.ipProtocol === IPPROTO_TCP);
  return packetsOf(ofTcp) * 2 < packetsOf(seen);
}
