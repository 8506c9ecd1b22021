import drops from '../../checks/drops.ts';
import kernelLog from '../../checks/kernel-log.ts';
import neighbours, { type Neighbours, type NeighbourTable } from '../../checks/neighbours.ts';
import snmp from '../../checks/snmp.ts';
import sysctl, { type Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { EtherType, packetsOf } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type CauseFinding } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { kernelSaid } from '../kernel-messages.ts';
import { dropsOf, seen, sentPackets } from '../ip/evidence.ts';
import { rises } from '../protocol-counters.ts';

const REASON = 'NEIGH_CREATEFAIL';
/**
 * As for a table of connections (nf-conntrack-full). The kernel cleans up by force from gc_thresh2 on (neigh_alloc), half
 * of gc_thresh3 by default: what stays beyond that is in use.
 */
const FILLING_SHARE = 0.9;
/** No less than this is worth a change of the setting; the default is 1,024. */
const SMALLEST_LIMIT = 4096;
/** So much of the table for addresses that do not answer: somebody tries them one by one, and would fill any table. */
const SCAN_SHARE = 0.5;
/** A planning figure: struct neighbour with its hash slot and a queue that is empty. */
const ENTRY_BYTES = 512;

interface Table {
  readonly name: NeighbourTable;
  readonly protocol: number;
  readonly tree: string;
  readonly discards: string;
  readonly location: string;
}

const TABLES: readonly Table[] = [
  {
    name: 'arp_cache',
    protocol: EtherType.IPv4,
    tree: 'net.ipv4.neigh.default',
    discards: 'Ip.OutDiscards',
    location: 'ip_finish_output2',
  },
  {
    name: 'ndisc_cache',
    protocol: EtherType.IPv6,
    tree: 'net.ipv6.neigh.default',
    discards: 'Ip6.OutDiscards',
    location: 'ip6_finish_output2',
  },
];

export default defineRule({
  id: 'neigh-table-overflow',
  title: 'The neighbour (ARP) table is full',
  needs: { neighbours, snmp },
  wants: { drops, sysctl, kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'Hosts of the own network become unreachable at random; the kernel log says `neighbour: arp_cache: neighbor table overflow!`. Seen on big flat networks and on Kubernetes nodes.',
    kernel:
      'All namespaces together may have `gc_thresh3` entries (1,024 by default) in each table. `neigh_alloc` (net/core/neighbour.c) refuses one more when none can be freed, counts `table_fulls`, and the packet is dropped in `ip_finish_output2` with the reason `NEIGH_CREATEFAIL`. Setting and counters can be read in the initial namespace only.',
    confirm:
      '`cat /proc/net/stat/arp_cache` (first column: entries, hexadecimal; last: table_fulls); `sysctl net.ipv4.neigh.default.gc_thresh3`; `ip neigh | wc -l` in each namespace; `dmesg | grep "table overflow"`.',
    fix: 'Raise `net.ipv4.neigh.default.gc_thresh3` (IPv6: `net.ipv6.neigh.default.gc_thresh3`) to twice what is needed, and `gc_thresh2` to half of that. An entry costs about half a KiB. If the entries are FAILED or INCOMPLETE, somebody scans: a larger table only gives the scan more room.',
    normal: 'Never, except while somebody scans the network through this host.',
    references: [
      'net/core/neighbour.c neigh_alloc (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, neigh/default/gc_thresh3',
    ],
  },
  judge(evidence, { severalNetns }) {
    const { neighbours, drops, snmp, sysctl, kernelLog } = evidence;
    return TABLES.flatMap((table): readonly CauseFinding[] => {
      const fulls = rise(
        neighbours.first.counters.get(`${table.name}.table_fulls`),
        neighbours.last.counters.get(`${table.name}.table_fulls`),
      );
      const events = packetsOf(
        drops?.hasReasons === false
          ? []
          : dropsOf(drops, { reasons: [REASON], protocol: table.protocol }),
      );
      const lost = drops?.hasReasons === true ? events : fulls;
      // The table is the machine's; who lost packets tells the namespace's own counter.
      const discards = rises(snmp, [table.discards]);
      const packets = severalNetns ? Math.min(lost, discards) : lost;
      const limit = sysctl?.last.number(`${table.tree}.gc_thresh3`);
      const peak = Math.max(
        0,
        ...neighbours.samples.map(({ entries }) => entries.get(table.name) ?? 0),
      );
      if (packets === 0) return limit === undefined ? [] : filling(table, peak, limit);
      return [
        {
          kind: 'cause',
          confidence: fulls > 0 ? 'certain' : 'likely',
          packets,
          traffic: sentPackets(snmp),
          scope: {},
          because: [
            ...fullsObserved(neighbours, table, fulls),
            ...seen(events, `with the reason ${REASON}`),
            ...fillObserved(table, peak, limit),
            ...scanObserved(neighbours.last),
            ...kernelSaid(kernelLog, 'neighbour-overflow'),
          ],
          means:
            'The table of next hops is full, so the kernel cannot learn another one and drops packets for every host that is not in it.',
          rulesOut: [
            {
              id: 'neigh-unresolved',
              because: 'these packets did not wait for an answer: no entry could be made for them',
            },
          ],
          fixes: fixesFor(table, limit, peak, packets, evidence),
          claims: [
            { reason: REASON, protocol: table.protocol, packets },
            { reason: null, location: table.location, packets },
          ],
        },
      ];
    });
  },
});

function fullsObserved({ first, last }: Sampled<Neighbours>, { name }: Table, fulls: number) {
  if (fulls === 0) return [];
  const key = `${name}.table_fulls`;
  return [
    {
      source: `/proc/net/stat/${name} table_fulls`,
      text: `${fulls} entries were refused on this machine`,
      first: String(first.counters.get(key) ?? 0n),
      last: String(last.counters.get(key) ?? 0n),
    },
  ];
}

function fillObserved({ name, tree }: Table, peak: number, limit: number | undefined) {
  if (peak === 0) return [];
  return [
    {
      source: `/proc/net/stat/${name} entries, ${tree}.gc_thresh3`,
      text: `${peak} entries${limit === undefined ? '' : `, at most ${limit}`}`,
      last: String(peak),
    },
  ];
}

function scanObserved({ silent }: Neighbours) {
  if (silent === undefined || silent.count === 0) return [];
  return [
    {
      source: 'ip neigh show nud failed nud incomplete',
      text: `${silent.count} entries of this namespace are for addresses that do not answer: if somebody scans, stop that instead`,
    },
  ];
}

/** A risk, not a loss; PERMANENT entries are in the number, though they do not count for the limit. */
function filling(table: Table, peak: number, limit: number): readonly CauseFinding[] {
  if (limit <= 0 || peak < limit * FILLING_SHARE) return [];
  return [
    {
      kind: 'cause',
      confidence: 'possible',
      packets: 0,
      severityAtMost: 'notice',
      scope: {},
      because: fillObserved(table, peak, limit),
      means:
        'The table of next hops is nearly full. When it is full, packets for hosts that are not in it are dropped; so far none was.',
      rulesOut: [],
      fixes: [],
      claims: [],
    },
  ];
}

function fixesFor(
  table: Table,
  limit: number | undefined,
  peak: number,
  refused: number,
  { neighbours, sysctl }: Settings,
): readonly Fix[] {
  if ((neighbours.last.silent?.count ?? 0) >= peak * SCAN_SHARE) {
    return [
      {
        id: `stop-the-scan-${table.name}`,
        title: 'Find who asks for addresses that nobody has',
        risk: 'none',
        cost: 'none here',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'manual',
            text: 'Most entries are for addresses that do not answer. ip neigh show nud failed nud incomplete lists them; stop the program, or block at the firewall the traffic, that goes to them. A larger table would fill as well.',
          },
        ],
      },
    ];
  }
  return limit === undefined ? [] : [raise(table, limit, peak, refused, sysctl?.last)];
}

interface Settings {
  readonly neighbours: Sampled<Neighbours>;
  readonly sysctl: Sampled<Sysctl> | undefined;
}

/** Twice the peak, and room for what was refused, within four times the old value or the smallest sensible one. */
function raise(
  { name, tree }: Table,
  limit: number,
  peak: number,
  refused: number,
  sysctl: Sysctl | undefined,
): Fix {
  const wanted = Math.max(2 * limit, 2 * peak, peak + refused, SMALLEST_LIMIT);
  const to = Math.min(wanted, Math.max(4 * limit, SMALLEST_LIMIT));
  const second = sysctl?.number(`${tree}.gc_thresh2`);
  const megabytes = Math.ceil((to * ENTRY_BYTES) / 1e6);
  return {
    id: `raise-${name}`,
    title: `Keep up to ${to} neighbours instead of ${limit}`,
    risk: 'safe',
    cost: `up to ${megabytes} MB of kernel memory when the table is full`,
    takesEffect: 'at-once',
    steps: [
      sysctlStep(`${tree}.gc_thresh3`, limit, to),
      ...(second !== undefined && second < to / 2
        ? [sysctlStep(`${tree}.gc_thresh2`, second, to / 2)]
        : []),
    ],
    expect: {
      counter: `neighbours ${name}.table_fulls`,
      change: 'stops-rising',
      traffic: name === 'arp_cache' ? 'snmp Ip.OutRequests' : 'snmp Ip6.OutRequests',
    },
  };
}
