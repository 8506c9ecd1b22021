import { defineBenign, unspecified } from '../benign.ts';

/** Where CoDel and its relatives drop at the head of the queue; full queues drop elsewhere (enqueue). */
const LOCATIONS = [
  'codel_dequeue',
  'codel_qdisc_dequeue',
  'fq_codel_dequeue',
  'cake_dequeue',
  'pie_drop_early',
  'pie_qdisc_dequeue',
  'dualpi2_qdisc_dequeue',
  'dequeue_func',
  'drop_func',
];

export default defineBenign({
  id: 'qdisc-aqm',
  title: 'A queue drops early to keep delays short',
  reviewed: '2026-11-22',
  text: 'Packets that a queue with active management (fq_codel, cake, pie) dropped on purpose: that is how TCP learns the speed of the link.',
  claims: [
    { reason: ['QDISC_CONGESTED', 'DUALPI2_STEP_DROP', 'CAKE_FLOOD'] },
    ...unspecified({ location: LOCATIONS }),
  ],
  explain: {
    see: '`tc -s qdisc` counts some drops while the backlog stays short.',
    kernel:
      'fq_codel, cake, pie and their relatives drop (or mark) packets that waited too long, before the queue is full: `QDISC_CONGESTED` (net/sched). A full queue is something else: `QDISC_OVERLIMIT` or `QDISC_DROP`.',
    confirm:
      '`tc -s qdisc show dev INTERFACE`: `drop_overlimit` stays, `ecn_mark` and `dropped` rise slowly.',
    fix: 'None up to one or two in a hundred packets. More: the link or the shaped rate is too small for what is offered. `sysctl -w net.ipv4.tcp_ecn=1` lets TCP be marked instead of dropped.',
    normal: 'On every link that is used to capacity.',
    references: ['net/sched/sch_fq_codel.c, include/net/codel_impl.h (Linux 6.18)', 'RFC 8289'],
  },
});
