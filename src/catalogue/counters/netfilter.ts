import { counterTable, loss, maybe, noLoss, type Counter } from '../counter.ts';

export const netfilterCounters: readonly Counter[] = [
  // net/netfilter/nf_conntrack_standalone.c ct_cpu_seq_show
  ...counterTable('conntrack', {
    drop: loss(
      'Packets dropped by connection tracking. With insert_failed: NAT found no free port or a race was lost; without: the table is full.',
      'nf-conntrack-full',
      'nf-conntrack-insert-failed',
    ),
    insert_failed: loss(
      'Connections that could not be entered: NAT ran out of ports, or two packets of one new flow raced.',
      'nf-conntrack-insert-failed',
    ),
    early_drop: maybe(
      'Entries thrown out to make room: the table is about to be full.',
      'nf-conntrack-full',
    ),
    invalid: maybe(
      'Packets that fit no connection. They are lost only where a rule drops them, but pass without NAT otherwise.',
      'nf-conntrack-invalid',
    ),
    chaintoolong: loss(
      'Connections not entered because their hash chain is too long: too few buckets, or an attack.',
      'nf-conntrack-insert-failed',
    ),
    error: maybe('ICMP errors or packets that could not be tracked.', 'nf-conntrack-invalid'),
    clash_resolve: noLoss(
      'Races of two packets of one new flow that were solved without loss.',
      'nf-conntrack-insert-failed',
    ),
    search_restart: noLoss('Look-ups that were begun again because the table was being resized.'),
    found: noLoss('Look-ups that found an entry in an unusual place.'),
  }),
  // net/netfilter/nfnetlink_queue.c seq_show
  ...counterTable('nfqueue', {
    queue_dropped: loss(
      'Sixth column: packets dropped because the queue to the program is full.',
      'nfqueue-drop',
    ),
    user_dropped: loss(
      "Seventh column: packets lost because the program's netlink socket is full.",
      'nfqueue-drop',
    ),
  }),
];
