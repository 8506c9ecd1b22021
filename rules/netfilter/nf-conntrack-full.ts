import conntrack, { type Conntrack } from '../../checks/conntrack.ts';
import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import snmp from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import { countDrops } from '../../src/model/drops.ts';
import type { Fix, FixStep } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding, type Observation } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { receivedPackets } from '../ip/evidence.ts';
import { kernelSaid } from '../kernel-messages.ts';
import { conntrackRise } from './conntrack-rise.ts';

/** The kernel's own early eviction starts here (nf_conntrack_core.c gc_worker, "95 %"). */
const FULL_SHARE = 0.95;
/** Below this a refused entry has another reason (no memory, a helper); node-exporter's mixin warns from here. */
const PLAUSIBLE_SHARE = 0.75;
/** netdata warns at 85 to 90 %, node-problem-detector at 90 %. */
const FILLING_SHARE = 0.9;
/** A planning figure for one entry with its extensions; the bare slab object is 256 bytes on 6.18. */
const ENTRY_BYTES = 400;
/** Average chain length at which look-ups get slow: the kernel's own default is below 2. */
const ENTRIES_PER_BUCKET = 4;

const countKey = 'net.netfilter.nf_conntrack_count';
const maxKey = 'net.netfilter.nf_conntrack_max';
const bucketsKey = 'net.netfilter.nf_conntrack_buckets';

export default defineRule({
  id: 'nf-conntrack-full',
  title: 'The connection tracking table is full, new connections are refused',
  needs: { conntrack, snmp },
  wants: { drops, kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'New connections time out, established ones live. The kernel log says `nf_conntrack: table full, dropping packet`. It looks like a firewall, but no rule counts the packets.',
    kernel:
      'For the first packet of each connection `init_conntrack` (net/netfilter/nf_conntrack_core.c) needs a new entry. When the namespace has `nf_conntrack_max` entries and none can be evicted early, the packet is dropped: `drop` in `conntrack -S` rises while `insert_failed` does not. The drop reason is `NETFILTER_DROP` at `nf_hook_slow`, the same as for a rule of iptables-legacy.',
    confirm:
      "`sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max`; `conntrack -S` (drop); `conntrack -L | awk '{print $1, $4}' | sort | uniq -c | sort -rn | head` shows who fills it.",
    fix: 'Raise `net.netfilter.nf_conntrack_max` and keep at least a quarter as many buckets. Each entry costs up to 400 bytes of kernel memory. On Kubernetes nodes kube-proxy sets this value; change it there.',
    normal:
      'Never normal; but a scan or SYN flood fills any table. Look who fills it before raising it far.',
    references: [
      'net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc (Linux 6.18)',
      'Documentation/networking/nf_conntrack-sysctl.rst',
    ],
  },
  judge({ conntrack, drops, snmp, kernelLog }) {
    const { last, samples } = conntrack;
    // No limit (__nf_conntrack_alloc).
    if (last.max === 0) return [];
    const peak = Math.max(...samples.map(({ count }) => count));
    const share = last.max === undefined ? undefined : peak / last.max;
    const insertFailed = conntrackRise(conntrack, 'insert_failed');
    // A clash or an exhausted NAT range counts in both; a full table in `drop` alone.
    const packets = Math.max(0, conntrackRise(conntrack, 'drop') - insertFailed);
    if (packets === 0 && (share ?? 0) < FILLING_SHARE) return [];

    const confidence = packets === 0 ? 'possible' : confidenceAt(share);
    const seen = countDrops(drops, 'NETFILTER_DROP', 'nf_hook_slow');
    return [
      {
        kind: 'cause',
        confidence,
        packets,
        traffic: receivedPackets(snmp),
        scope: {},
        because: [
          ...counted(conntrack, packets, insertFailed),
          {
            source: `${countKey} and nf_conntrack_max`,
            text:
              share === undefined
                ? `${peak} entries in use; the limit cannot be read here`
                : `${peak} of ${last.max} entries in use (${percent(share)})`,
            last: String(peak),
          },
          ...(packets > 0 && seen > 0
            ? [
                {
                  source: 'skb:kfree_skb',
                  text: `${seen} drops NETFILTER_DROP at nf_hook_slow on this machine`,
                },
              ]
            : []),
          ...kernelSaid(kernelLog, 'conntrack-full'),
        ],
        means: meaning(last, packets, share),
        rulesOut:
          packets === 0
            ? []
            : [
                {
                  id: 'nf-rule-drop',
                  because: `conntrack itself counted these ${packets} packets as dropped for want of an entry`,
                },
                {
                  id: 'nf-conntrack-insert-failed',
                  because: `insert_failed rose by ${insertFailed} only`,
                },
              ],
        // A longer table is no cure for one that was not full.
        fixes:
          last.max === undefined || (packets > 0 && confidence === 'possible')
            ? []
            : [raise(last.max, peak, packets, last.buckets)],
        claims:
          packets === 0
            ? []
            : [
                { reason: 'NETFILTER_DROP', location: 'nf_hook_slow', packets },
                { reason: null, location: 'nf_hook_slow', packets },
              ],
      },
    ];
  },
});

function counted(
  { first, last }: Sampled<Conntrack>,
  packets: number,
  insertFailed: number,
): readonly Observation[] {
  const now = last.counters.get('drop');
  if (now === undefined) return [];
  return [
    {
      source: 'conntrack -S drop',
      text: `${packets} packets found no room in the table (insert_failed rose by ${insertFailed})`,
      first: String(first.counters.get('drop') ?? 0n),
      last: String(now),
    },
  ];
}

function confidenceAt(share: number | undefined): CauseFinding['confidence'] {
  if (share === undefined || share < PLAUSIBLE_SHARE) return 'possible';
  return share >= FULL_SHARE ? 'certain' : 'likely';
}

function meaning(last: Conntrack, packets: number, share: number | undefined): string {
  if (packets === 0) {
    return `The table is ${percent(share ?? 0)} full. When it is full, new connections are refused; ${
      last.counters.has('drop') ? 'so far none was.' : 'whether some were cannot be read here.'
    }`;
  }
  if (share !== undefined && share < PLAUSIBLE_SHARE) {
    return 'Connection tracking dropped packets for want of an entry, but its table was far from full whenever we looked: kernel memory may be short, or a burst came and went.';
  }
  return 'The kernel cannot track more connections, so it drops the first packet of each new one. Established ones go on.';
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/**
 * Twice what is there, or twice what was asked for in the window if that is more; but no more than four
 * times the old value or one entry for each bucket that already exists, because one flow that tries
 * again and again looks like many.
 */
function raise(max: number, peak: number, refused: number, buckets: number | undefined): Fix {
  const wanted = Math.max(2 * max, 2 * (peak + refused));
  const to = Math.min(wanted, Math.max(4 * max, buckets ?? 0));
  const megabytes = ((to - max) * ENTRY_BYTES) / 1e6;
  const steps: FixStep[] = [sysctlStep(maxKey, max, to)];
  if (buckets !== undefined && to > buckets * ENTRIES_PER_BUCKET) {
    steps.push(sysctlStep(bucketsKey, buckets, Math.ceil(to / ENTRIES_PER_BUCKET)));
  }
  return {
    id: 'raise-max',
    title: `Track ${to} connections instead of ${max}`,
    risk: 'safe',
    cost: `up to ${megabytes < 1 ? 'one more' : `${Math.ceil(megabytes)} more`} MB of kernel memory when the table is full (${ENTRY_BYTES} bytes an entry)`,
    takesEffect: 'at-once',
    steps,
    expect: { counter: 'conntrack drop', change: 'stops-rising', traffic: 'snmp Ip.InReceives' },
  };
}
