import drops from '../../checks/drops.ts';
import firewall, { type FirewallRule } from '../../checks/firewall.ts';
import nfqueue, { type NfQueue } from '../../checks/nfqueue.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import { countUnspecified, unspecified } from '../benign.ts';
import { risesOf } from './rule-rises.ts';

/** Nobody listens on the queue that a rule names: nf_queue frees the packet itself. */
const NOBODY = ['nf_queue', '__nf_queue'];
/** The program decided so, or left. */
const REFUSED = ['nf_reinject', 'nfqnl_flush', 'nfqnl_recv_verdict'];
const FULL = ['__nfqnl_enqueue_packet', 'nfqnl_enqueue_packet'];

export default defineRule({
  id: 'nfqueue-drop',
  title: 'Packets on their way to a firewall program (NFQUEUE) are dropped',
  needs: {},
  wants: { nfqueue, firewall, drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Traffic that an IDS, a content filter or a load balancer in user space should see stops, all at once or under load.',
    kernel:
      'A rule with the target NFQUEUE (nft `queue`) hands the packet to a program over netlink. Without a program on that queue `nf_queue` (net/netfilter/nf_queue.c) drops it, unless the rule says bypass. With a full queue `__nfqnl_enqueue_packet` (net/netfilter/nfnetlink_queue.c) drops it and counts `queue_dropped`; with a full netlink socket `user_dropped`. None of them has a drop reason.',
    confirm:
      '`cat /proc/net/netfilter/nfnetlink_queue`: number, port of the program, packets waiting, …, queue dropped, user dropped. No line for the number in the rule: nobody listens.',
    fix: 'Start the program. `--queue-bypass` (nft `queue flags bypass`) lets packets pass unseen while it is down: that is a decision about security. Under load: several queues (`--queue-balance 0:3`), a longer queue in the program (`nfq_set_queue_maxlen`).',
    normal: 'A verdict to drop is what such a program is for.',
    references: [
      'net/netfilter/nf_queue.c nf_queue (Linux 6.18)',
      'net/netfilter/nfnetlink_queue.c __nfqnl_enqueue_packet, seq_show (Linux 6.18)',
    ],
  },
  judge({ nfqueue, firewall, drops }, window) {
    const overflows = (nfqueue?.last.queues ?? []).flatMap((now) => {
      const before = nfqueue?.first.queues.find(({ number }) => number === now.number);
      const queue = rise(before?.queueDropped, now.queueDropped, 32);
      const user = rise(before?.userDropped, now.userDropped, 32);
      return queue + user > 0 ? [overflowing(now, before, queue, user)] : [];
    });
    // The busiest first.
    const queueing = (firewall === undefined ? [] : risesOf(firewall, isQueueing)).sort(
      (a, b) => b.packets - a.packets,
    );
    const freed = drops === undefined ? 0 : countUnspecified(drops, NOBODY);
    // With tracefs it may have been in any namespace: as many as met a rule of this one.
    const met = queueing.reduce((sum, rule) => sum + rule.packets, 0);
    const nobody = window.severalNetns ? Math.min(freed, met) : freed;
    return [
      ...overflows,
      ...(nobody > 0 ? [unattended(nobody, queueing[0]?.entry)] : []),
      {
        kind: 'benign',
        text: 'Packets that a firewall program refused, as it is there to do.',
        claims: unspecified({ location: REFUSED }),
      },
    ];
  },
});

function overflowing(
  now: NfQueue,
  before: NfQueue | undefined,
  queue: number,
  user: number,
): CauseFinding {
  const packets = queue + user;
  return {
    kind: 'cause',
    confidence: 'certain',
    packets,
    traffic: {
      packets: packets + rise(before?.sequence, now.sequence, 32),
      what: `packets for queue ${now.number}`,
    },
    scope: { rule: `NFQUEUE ${now.number}` },
    because: [
      {
        source: '/proc/net/netfilter/nfnetlink_queue',
        text: `${queue} packets found queue ${now.number} full, ${user} the socket of its program (port ${now.port})`,
        first: String((before?.queueDropped ?? 0n) + (before?.userDropped ?? 0n)),
        last: String(now.queueDropped + now.userDropped),
      },
      {
        source: '/proc/net/netfilter/nfnetlink_queue',
        text: `${now.waiting} packets wait for a verdict now`,
      },
    ],
    means: `The program behind queue ${now.number} does not decide as fast as packets come.`,
    rulesOut: [],
    fixes: [
      {
        id: `balance-queue-${now.number}`,
        title: 'Give the program more queues or a longer one',
        risk: 'disruptive',
        cost: 'firewall rules and the program change together; a longer queue adds delay',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'manual',
            text: `Find the program by the port ${now.port} (usually its process id), see whether it has a CPU to itself, then spread the traffic over several queues (--queue-balance, nft queue num 0-3) or raise its queue length.`,
          },
        ],
      },
    ],
    claims: unspecified({ location: FULL, packets }),
  };
}

function isQueueing({ verdict }: FirewallRule): boolean {
  return verdict === 'queue';
}

function unattended(packets: number, rule: FirewallRule | undefined): CauseFinding {
  return {
    kind: 'cause',
    confidence: 'certain',
    packets,
    scope: rule === undefined ? {} : { rule: rule.text },
    because: [
      { source: 'skb:kfree_skb', text: `${packets} packets were freed by nf_queue, undecided` },
      ...(rule === undefined
        ? []
        : [
            {
              source: rule.tool === 'nft' ? 'nft list ruleset' : `${rule.tool}-save -c`,
              text: `this rule hands packets over: ${rule.text}`,
            },
          ]),
    ],
    means:
      'A firewall rule hands packets to a program by NFQUEUE, and no program listens on that queue.',
    rulesOut: [{ id: 'nf-rule-drop', because: 'a rule that drops has the reason NETFILTER_DROP' }],
    fixes: [
      {
        id: 'start-program',
        title: 'Start the program that decides on these packets',
        risk: 'disruptive',
        cost: 'none beyond what the program does',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'manual',
            text: 'Find the rule (nft list ruleset | grep queue; iptables-save | grep NFQUEUE) and start what should listen there (suricata, a filter, a load balancer). Letting packets pass meanwhile (queue flags bypass) is a decision about security.',
          },
        ],
      },
    ],
    claims: unspecified({ location: NOBODY, packets }),
  };
}
