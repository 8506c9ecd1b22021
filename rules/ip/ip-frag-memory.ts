import drops from '../../checks/drops.ts';
import fragments, { type FragmentMemory } from '../../checks/fragments.ts';
import snmp from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding, type Finding } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { areStray, strays } from './evidence.ts';
import { fragmentLosses, REASSEMBLY, type FragmentLosses } from './fragment-losses.ts';

/** Fragments that get complete leave, so at a look between less is seen than the most. So full: it was full at some moment. */
const FULL_SHARE = 0.75;
/** Memory the kernel charges for a fragment of 1,500 bytes (skb->truesize), the queue included: measured on 6.18. */
const FRAGMENT_BYTES = 2600;
/** The kernel's default of `ipfrag_high_thresh`: 4 MiB. */
const DEFAULT_LIMIT_BYTES = 4 * 1024 * 1024;

const KEYS = { 4: 'net.ipv4.ipfrag_high_thresh', 6: 'net.ipv6.ip6frag_high_thresh' } as const;

export default defineRule({
  id: 'ip-frag-memory',
  title: 'The memory for IP fragments is full',
  needs: { snmp, fragments },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Big UDP messages are lost under load; `Ip ReasmFails` rises much faster than `Ip ReasmTimeout`.',
    kernel:
      'Fragments that wait for the rest of their datagram may take `ipfrag_high_thresh` bytes in each namespace (4 MiB by default). Beyond it `inet_frag_find` (net/ipv4/inet_fragment.c) makes no new queue, and the fragment is freed in `ip_defrag` without a reason; `Ip ReasmFails` counts it. IPv6: `ip6frag_high_thresh`, `Ip6 ReasmFails`.',
    confirm:
      '`grep FRAG /proc/net/sockstat /proc/net/sockstat6`; `sysctl net.ipv4.ipfrag_high_thresh`; `nstat -az IpReasmFails IpReasmTimeout`.',
    fix: '`sysctl -w net.ipv4.ipfrag_high_thresh=…`, twice as much or as many bytes as wait at the busiest moment. First make sure that it is no flood: look who sends the fragments. If pieces are lost on the way, the memory fills with what never gets complete.',
    normal: 'Under a flood of fragments: then the limit protects the host.',
    references: [
      'net/ipv4/inet_fragment.c inet_frag_find, inet_frag_alloc (Linux 6.18)',
      'net/ipv4/ip_fragment.c ip_defrag (Linux 6.18)',
    ],
  },
  judge({ snmp, fragments, drops }, window) {
    return fragmentLosses(snmp, drops).flatMap((losses): readonly Finding[] => {
      const { refused, version } = losses;
      const claims = ['NOT_SPECIFIED', null].map((reason) => ({
        reason,
        location: REASSEMBLY,
        protocol: losses.protocol,
        packets: refused,
      }));
      const peak = peakOf(fragments.samples.map((one) => (version === 4 ? one.ipv4 : one.ipv6)));
      const full = peak?.limitBytes !== undefined && peak.bytes >= peak.limitBytes * FULL_SHARE;
      if (areStray(refused, window)) {
        return strays(
          'A few fragments that found no memory, or did not fit the others.',
          claims,
          window,
        );
      }
      return [finding(losses, peak, full, claims, snmp)];
    });
  },
});

function peakOf(samples: readonly (FragmentMemory | undefined)[]): FragmentMemory | undefined {
  return samples
    .filter((sample) => sample !== undefined)
    .reduce<FragmentMemory | undefined>(
      (peak, sample) => (peak === undefined || sample.bytes > peak.bytes ? sample : peak),
      undefined,
    );
}

function finding(
  { version, refused, timedOut, reassembled }: FragmentLosses,
  peak: FragmentMemory | undefined,
  full: boolean,
  claims: CauseFinding['claims'],
  snmp: Sampled<{ readonly counters: ReadonlyMap<string, bigint> }>,
): CauseFinding {
  const prefix = version === 4 ? 'Ip' : 'Ip6';
  const counter = `${prefix}.ReasmFails`;
  return {
    kind: 'cause',
    confidence: full ? 'certain' : 'possible',
    packets: refused,
    traffic: {
      packets: reassembled + refused + timedOut,
      what: 'datagrams that came in fragments',
    },
    ...(full ? {} : { severityAtMost: 'notice' as const }),
    scope: {},
    because: [
      {
        source: `nstat ${prefix}ReasmFails`,
        text: `${refused} fragments were refused, without the ${timedOut} datagrams that timed out`,
        first: String(snmp.first.counters.get(counter) ?? 0n),
        last: String(snmp.last.counters.get(counter) ?? 0n),
      },
      ...(peak === undefined
        ? []
        : [
            {
              source: version === 4 ? '/proc/net/sockstat FRAG' : '/proc/net/sockstat6 FRAG6',
              text: `${peak.bytes} bytes wait in ${peak.datagrams} datagrams${peak.limitBytes === undefined ? '' : `; the limit is ${peak.limitBytes}`}`,
              last: String(peak.bytes),
            },
          ]),
    ],
    means: full
      ? 'Fragments that wait for the rest of their datagrams fill the memory they may take, so the kernel refuses new ones.'
      : 'The kernel could not put fragments together, though the memory for them was not full whenever we looked: broken fragments, or a burst that came and went.',
    rulesOut: [
      {
        id: 'ip-frag-timeout',
        because: `only ${timedOut} datagrams were given up because their time was over`,
      },
    ],
    fixes: full && peak?.limitBytes !== undefined ? [raise(version, peak.limitBytes, refused)] : [],
    claims,
  };
}

/** Room for what was refused; at most four times the old value, or the kernel's default if that is more. */
function raise(version: 4 | 6, limitBytes: number, refused: number): Fix {
  const wanted = Math.max(2 * limitBytes, limitBytes + refused * FRAGMENT_BYTES);
  const to = Math.min(wanted, Math.max(4 * limitBytes, DEFAULT_LIMIT_BYTES));
  const prefix = version === 4 ? 'Ip' : 'Ip6';
  return {
    id: `raise-fragment-memory-${version}`,
    title: `Let fragments of IPv${version} wait in ${to} bytes instead of ${limitBytes}`,
    risk: 'safe',
    cost: `up to ${to} bytes of kernel memory in this namespace, which a flood of fragments can fill too`,
    takesEffect: 'at-once',
    steps: [sysctlStep(KEYS[version], limitBytes, to)],
    expect: {
      counter: `snmp ${prefix}.ReasmFails`,
      change: 'stops-rising',
      traffic: `snmp ${prefix}.ReasmReqds`,
    },
  };
}
