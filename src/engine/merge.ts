import type { DropCount } from '../model/drops.ts';
import type { ClosedSite, Site } from '../model/host.ts';
import type {
  Report,
  ReportCause,
  ReportDrops,
  ReportNamespace,
  Verdict,
} from '../model/report.ts';
import { reportDrops } from './assemble.ts';
import { byImpact } from './rank.ts';

/** One namespace with its own report. */
export interface Part {
  readonly site: Site;
  readonly report: Report;
  /** Of its drops, those of no known namespace. */
  readonly ofNoNamespace: number;
}

/** Drops in a namespace that nobody looked into. */
export interface Stray {
  readonly inode: number;
  readonly drops: readonly DropCount[];
}

/** What belongs to no part. */
export interface Remains {
  readonly closed: readonly ClosedSite[];
  readonly strays: readonly Stray[];
  /** Drops that the capture cannot place, and no counter accounts for. */
  readonly unplaced: readonly DropCount[];
  /** The capture tells in which namespace a packet died. */
  readonly placesDrops: boolean;
  /** Ids of rules that were judged once for the whole machine. */
  readonly hostWide: ReadonlySet<string>;
}

/** One report of several namespaces: sums, causes ranked over all, and what is the same everywhere said once. */
export function mergeReports(parts: readonly Part[], remains: Remains): Report {
  const [first] = parts;
  if (first === undefined) throw new Error('a machine has at least one network namespace');
  const totals = {
    dropped: sum(parts, ({ report }) => report.totals.dropped),
    explained: sum(parts, ({ report }) => report.totals.explained),
    benign: sum(parts, ({ report }) => report.totals.benign),
    unexplained: sum(parts, ({ report }) => report.totals.unexplained),
  };
  return {
    ...first.report,
    scope: { ...first.report.scope, netns: ['all'] },
    totals,
    verdict: worstOf([
      ...parts.map(({ report }) => report.verdict),
      // What came or went while we watched, as containers do, is nothing wrong.
      ...remains.closed.map((): Verdict => 'unknown'),
    ]),
    causes: rankedCauses(parts, totals.dropped),
    benign: benignOf(parts),
    unexplained: inOrder(
      parts.flatMap(({ site, report }) =>
        report.unexplained.map((drops) => ({ ...inNamespace(site.name), ...drops })),
      ),
    ),
    elsewhere: elsewhereOf(parts, remains),
    namespaces: namespacesOf(parts, remains),
    reconciliation: parts.flatMap(({ site, report }) =>
      report.reconciliation.map((row) => ({ ...inNamespace(site.name), ...row })),
    ),
    uncounted: parts.flatMap(({ site, report }) =>
      report.uncounted.map((drops) => ({ ...inNamespace(site.name), ...drops })),
    ),
    notJudged: grouped(parts, ({ notJudged }) => notJudged).map(({ item, names }) => ({
      ...item,
      ...(remains.hostWide.has(item.rule) ? {} : onlyIn(names, parts)),
    })),
    suppressed: grouped(parts, ({ suppressed }) => suppressed).map(({ item }) => item),
    crashed: grouped(parts, ({ crashed }) => crashed).map(({ item }) => item),
    checks: checksOf(parts),
    notes: [...notesOf(parts), ...noNamespaceNote(parts), ...cannotTellNote(first.report, remains)],
  };
}

/** `unknown` is worse than `ok`, and better than a loss that was found. */
const VERDICTS: readonly Verdict[] = ['critical', 'warning', 'unknown', 'ok'];

function worstOf(verdicts: readonly Verdict[]): Verdict {
  return VERDICTS.find((verdict) => verdicts.includes(verdict)) ?? 'ok';
}

function namespacesOf(parts: readonly Part[], { closed, strays }: Remains): ReportNamespace[] {
  const nothing = { dropped: 0, explained: 0, benign: 0, unexplained: 0 };
  const closedInodes = new Set(closed.map(({ inode }) => inode));
  return [
    ...parts.map(({ site: { name, host }, report, ofNoNamespace }): ReportNamespace => ({
      name,
      netns: host.facts.netns,
      inode: host.facts.netnsInode ?? 0,
      verdict: report.verdict,
      totals: report.totals,
      ...(ofNoNamespace > 0 && { ofNoNamespace }),
    })),
    ...closed.map(({ name, inode, reason }): ReportNamespace => ({
      name,
      netns: null,
      inode,
      verdict: 'unknown',
      totals: nothing,
      unread: reason,
    })),
    ...strays
      .filter(({ inode }) => !closedInodes.has(inode))
      .map(({ inode }): ReportNamespace => ({
        name: strayName(inode),
        netns: null,
        inode,
        verdict: 'unknown',
        totals: nothing,
        unread: 'It came or went while whydrop watched, or could not be found.',
      })),
  ].sort(
    (a, b) =>
      VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict) ||
      b.totals.dropped - a.totals.dropped ||
      Number(b.name === null) - Number(a.name === null) ||
      (a.name ?? '').localeCompare(b.name ?? '', 'en', { numeric: true }),
  );
}

function strayName(inode: number): string {
  return `inode ${inode}`;
}

function rankedCauses(parts: readonly Part[], dropped: number): ReportCause[] {
  return parts
    .flatMap(({ report }) => report.causes)
    .sort(byImpact)
    .map((cause, index) => ({
      ...cause,
      rank: index + 1,
      share: dropped > 0 ? cause.packets / dropped : 0,
    }));
}

function benignOf(parts: readonly Part[]): Report['benign'] {
  const found = new Map<string, Report['benign'][number]>();
  // Interfaces of several namespaces are not one, even if they share a name.
  for (const { id, text, packets: here } of parts.flatMap(({ report }) => report.benign)) {
    const key = JSON.stringify([id, text]);
    found.set(key, { id, text, packets: (found.get(key)?.packets ?? 0) + here });
  }
  return inOrder([...found.values()]);
}

function elsewhereOf(
  parts: readonly Part[],
  { closed, strays, unplaced }: Remains,
): Report['elsewhere'] {
  const names = new Map(closed.map(({ inode, name }) => [inode, name]));
  const drops: ReportDrops[] = [
    ...parts.flatMap(({ site, report }) =>
      report.elsewhere.drops.map((drop) => ({ ...inNamespace(site.name), ...drop })),
    ),
    ...strays.flatMap((stray) =>
      stray.drops.map((drop) => ({
        netns: names.get(stray.inode) ?? strayName(stray.inode),
        ...reportDrops(drop),
      })),
    ),
    ...unplaced.map(reportDrops),
  ];
  const texts = [
    ...new Set(parts.map(({ report }) => report.elsewhere.text).filter((text) => text !== '')),
    ...(strays.length > 0
      ? [
          'These packets died in network namespaces that came or went while whydrop watched, or that it could not enter: nothing was read there.',
        ]
      : []),
    ...(unplaced.length > 0
      ? [
          'The tracepoint does not say in which network namespace a packet died, and no counter of any of them accounts for these. The causes go by the counters of each namespace.',
        ]
      : []),
  ];
  return {
    packets: drops.reduce((total, { packets }) => total + packets, 0),
    text: texts.join(' '),
    drops: inOrder(drops),
  };
}

function checksOf(parts: readonly Part[]): Report['checks'] {
  const states = grouped(
    parts,
    ({ checks }) => checks,
    ({ tookMs: _, ...state }) => state,
  );
  return states.map(({ item, all, names }) => ({
    ...item,
    tookMs: Number(sum(all, ({ tookMs }) => tookMs).toFixed(1)),
    ...onlyIn(names, parts),
  }));
}

/** More names than this say no more than their number. */
const NAMED = 3;

function notesOf(parts: readonly Part[]): string[] {
  return grouped(parts, ({ notes }) => notes).map(({ item, names }) =>
    names.length === parts.length ? item : `${listNames(names)}: ${item}`,
  );
}

function listNames(names: readonly (string | null)[]): string {
  const shown = names.slice(0, NAMED).map((name) => name ?? 'the host itself');
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function noNamespaceNote(parts: readonly Part[]): string[] {
  const packets = sum(parts, ({ ofNoNamespace }) => ofNoNamespace);
  return packets === 0
    ? []
    : [
        `${packets} drops are of no known network namespace: the packets had neither interface nor socket. They count for the host itself.`,
      ];
}

function cannotTellNote({ capture }: Report, { placesDrops }: Remains): string[] {
  return placesDrops || capture.backend === 'none'
    ? []
    : [
        `A capture by ${capture.backend} does not tell in which network namespace a packet died. Causes are placed by the counters of each namespace; harmless drops all count for the host itself.`,
      ];
}

interface Group<Item> {
  readonly item: Item;
  readonly all: readonly Item[];
  /** Of the namespaces where it is so. */
  readonly names: readonly (string | null)[];
}

/** What is the same in several reports, once. */
function grouped<Item>(
  parts: readonly Part[],
  itemsOf: (report: Report) => readonly Item[],
  identity: (item: Item) => unknown = (item) => item,
): readonly Group<Item>[] {
  const groups = new Map<string, { item: Item; all: Item[]; names: (string | null)[] }>();
  for (const { site, report } of parts) {
    for (const item of itemsOf(report)) {
      const key = JSON.stringify(identity(item));
      const group = groups.get(key) ?? { item, all: [], names: [] };
      groups.set(key, group);
      group.all.push(item);
      group.names.push(site.name);
    }
  }
  return [...groups.values()];
}

function onlyIn(
  names: readonly (string | null)[],
  parts: readonly Part[],
): { namespaces?: (string | null)[] } {
  return names.length === parts.length ? {} : { namespaces: [...names] };
}

function inNamespace(name: string | null): { netns?: string } {
  return name === null ? {} : { netns: name };
}

function inOrder<Entry extends { readonly packets: number }>(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => b.packets - a.packets);
}

function sum<Item>(items: readonly Item[], numberOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}
