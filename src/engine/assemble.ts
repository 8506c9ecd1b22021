import type { DropCapture, DropCount } from '../model/drops.ts';
import type { HostFacts } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import type { Report, ReportCause, ReportDrops } from '../model/report.ts';
import type { Attribution } from './attribute.ts';
import type { Collected, CollectOptions } from './collect.ts';
import { withCommand } from './commands.ts';
import { fold, type UnrankedCause } from './fold.ts';
import type { JudgedFinding, Judgement } from './judge.ts';
import type { Placed } from './place.ts';
import { severityOf } from './rank.ts';
import { suppressionOf, type SuppressOptions } from './suppress.ts';
import { verdictOf } from './verdict.ts';
import { flowsOf, interfaceOf, ownerOf, whereaboutsOf } from './whereabouts.ts';

export interface ReportOptions
  extends SuppressOptions, Pick<CollectOptions, 'seconds' | 'capture' | 'interfaces'> {
  /** Of whydrop. */
  readonly version: string;
  readonly startedAt: Date;
  /** To be shown with those of the engine. */
  readonly notes?: readonly string[];
}

/** What the stages before found. */
export interface Results {
  readonly collected: Collected;
  /** Undefined: nobody asked for one. */
  readonly capture: Reading<DropCapture> | undefined;
  readonly judgement: Judgement;
  readonly attribution: Attribution;
  /** Undefined: there was no capture. */
  readonly placed: Placed | undefined;
}

/** Puts the results into the form of the report, with totals and verdict. */
export function assemble(
  { hostname, kernel, distribution, recorded, netns }: HostFacts,
  { collected, capture, judgement, attribution, placed }: Results,
  options: ReportOptions,
): Report {
  const { findings } = judgement;
  const { seconds } = collected;
  const owners = placed?.capture.owners;
  const found = causesOf(findings, attribution, { netns, owners }).filter((cause) =>
    isAskedFor(cause, options.interfaces),
  );
  const suppressed = found.flatMap((cause) => {
    const reason = suppressionOf(cause, options);
    return reason === undefined ? [] : [{ cause, reason }];
  });
  const hidden = new Set(suppressed.map(({ cause }) => cause));
  const origins = new Map(findings.map(({ rule }) => [rule.id, rule.consequenceOf]));
  const roots = fold(
    found.filter((cause) => !hidden.has(cause)),
    (id) => origins.get(id) ?? [],
  );

  const benign = benignOf(findings, attribution);
  const harmless = packetsOf(benign);
  const unexplained = packetsOf(attribution.unexplained);
  // A suppressed loss is still explained: it is hidden from the verdict, not from the arithmetic.
  const explained = packetsOf(roots) + packetsOf([...hidden]);
  const dropped = explained + harmless + unexplained;

  const report: Omit<Report, 'verdict'> = {
    schema: 'whydrop.report/1',
    tool: { name: 'whydrop', version: options.version },
    host: { hostname, kernel, distribution, recorded },
    window: { startedAt: options.startedAt.toISOString(), seconds: round(seconds, 3) },
    scope: { netns: netns === null ? [] : [netns], interfaces: [...options.interfaces] },
    capture: captureSummary(capture),
    totals: { dropped, explained, benign: harmless, unexplained },
    causes: roots.map(({ countedAgain, ...cause }, index): ReportCause => ({
      rank: index + 1,
      ...cause,
      packetsPerSecond: seconds > 0 ? round(cause.packets / seconds, 1) : 0,
      share: dropped > 0 ? cause.packets / dropped : 0,
    })),
    benign,
    unexplained: attribution.unexplained.map(reportDrops),
    elsewhere: elsewhereOf(attribution, placed, netns),
    reconciliation: reconcile(findings, attribution),
    notJudged: judgement.notJudged.map(({ rule, missing }) => ({ rule, missing: [...missing] })),
    suppressed: suppressed.map(({ cause, reason }) => ({ id: cause.id, reason })),
    crashed: [...judgement.crashed, ...crashedChecks(collected)],
    checks: checkStatuses(collected),
    notes: [...(options.notes ?? []), ...notesOf(collected, capture)],
  };
  return { ...report, verdict: verdictOf(report, coreUnread(collected, options)) };
}

function causesOf(
  findings: readonly JudgedFinding[],
  { sources }: Attribution,
  { netns, owners }: { readonly netns: string | null; readonly owners: DropCapture['owners'] },
): UnrankedCause[] {
  return findings.flatMap(({ rule, finding }) => {
    if (finding.kind !== 'cause') return [];
    const drops = sources.get(finding) ?? new Map<DropCount, number>();
    const seenOn = interfaceOf(drops);
    const owner = ownerOf(drops, owners);
    return {
      id: rule.id,
      title: rule.title,
      severity: severityOf(finding),
      confidence: finding.confidence,
      packets: finding.packets,
      ...(finding.countedAgain === true && { countedAgain: true }),
      scope: {
        ...(netns === null ? {} : { netns }),
        ...(seenOn === undefined ? {} : { interface: seenOn }),
        ...(owner === undefined ? {} : { process: owner }),
        ...finding.scope,
      },
      because: [...finding.because, ...flowsOf(drops)],
      means: finding.means,
      rulesOut: finding.rulesOut,
      fixes: finding.fixes.map((fix) => ({
        ...fix,
        steps: fix.steps.map((step) => withCommand(step, netns)),
      })),
      consequences: [],
    };
  });
}

/** What cannot be laid at one interface's door concerns all of them. */
function isAskedFor({ scope }: UnrankedCause, interfaces: readonly string[]): boolean {
  return (
    interfaces.length === 0 || scope.interface === undefined || interfaces.includes(scope.interface)
  );
}

function benignOf(
  findings: readonly JudgedFinding[],
  { claimed, sources }: Attribution,
): Report['benign'] {
  return findings
    .flatMap(({ rule, finding }) => {
      if (finding.kind !== 'benign') return [];
      const { id } = rule;
      const drops = sources.get(finding) ?? new Map<DropCount, number>();
      const packets = claimed.get(finding) ?? 0;
      return [{ id, packets, text: finding.text, ...whereaboutsOf(drops) }];
    })
    .filter(({ packets }) => packets > 0)
    .sort((a, b) => b.packets - a.packets);
}

function reconcile(
  findings: readonly JudgedFinding[],
  { claimed }: Attribution,
): Report['reconciliation'] {
  return findings.flatMap(({ finding }) => {
    if (finding.kind !== 'cause' || finding.packets === 0) return [];
    const counter = finding.because[0]?.source;
    if (counter === undefined) return [];
    const { packets } = finding;
    return {
      counter,
      rise: packets,
      byEvents: Math.min(claimed.get(finding) ?? 0, packets),
      beforeEvents: finding.beforeEvents === true ? packets : 0,
    };
  });
}

function elsewhereOf(
  attribution: Attribution,
  placed: Placed | undefined,
  netns: string | null,
): Report['elsewhere'] {
  const elsewhere = [...attribution.elsewhere, ...(placed?.others ?? [])];
  const here = netns === null ? 'this network namespace' : `network namespace ${netns}`;
  return {
    packets: packetsOf(elsewhere),
    text:
      elsewhere.length === 0
        ? ''
        : placed?.known === true
          ? 'These packets died in other network namespaces.'
          : `The tracepoint sees the whole host and does not say in which network namespace a packet died. ` +
            `No counter of ${here} accounts for these, so they are taken for drops of other namespaces.`,
    drops: elsewhere.map(reportDrops),
  };
}

function captureSummary(capture: Reading<DropCapture> | undefined): Report['capture'] {
  if (capture?.status === 'ok') {
    const { backend, events, lost } = capture.value;
    return { backend, events, lost, unavailable: [] };
  }
  const reason = capture?.reason ?? 'no rule asked for it';
  return { backend: 'none', events: 0, lost: 0, unavailable: [{ backend: 'tracefs', reason }] };
}

function checkStatuses({ evidence }: Collected): Report['checks'] {
  return [...evidence].map(([check, { reading, tookMs }]) => ({
    id: check.id,
    ...(check.core === true ? { core: true } : {}),
    status: reading.status,
    ...(reading.status === 'ok' ? {} : { reason: reading.reason }),
    ...(reading.status === 'ok' && reading.notes !== undefined
      ? { notes: [...reading.notes] }
      : {}),
    tookMs: round(tookMs, 1),
  }));
}

function crashedChecks({ evidence }: Collected): Report['crashed'] {
  return [...evidence].flatMap(([check, { reading }]) =>
    reading.status === 'crashed' ? [{ id: check.id, error: reading.reason }] : [],
  );
}

/** More names than this say no more than their count. */
const NAMED_COUNTERS = 5;

function notesOf({ wentDown }: Collected, capture: Reading<DropCapture> | undefined): string[] {
  const notes: string[] = [];
  if (wentDown.length > 0) {
    const named = wentDown.slice(0, NAMED_COUNTERS).join(', ');
    const more =
      wentDown.length > NAMED_COUNTERS ? ` and ${wentDown.length - NAMED_COUNTERS} more` : '';
    notes.push(
      `Counters went down while measuring (reset, or a device was replaced), so they say nothing: ${named}${more}.`,
    );
  }
  if (capture?.status === 'ok' && capture.value.lost > 0) {
    notes.push(
      `The kernel's trace buffer overflowed and lost ${capture.value.lost} events: counts by reason are lower bounds.`,
    );
  }
  return notes;
}

/** A source the user switched off is not missed. */
function coreUnread(
  { evidence }: Collected,
  { capture, seconds }: Pick<ReportOptions, 'capture' | 'seconds'>,
): boolean {
  return [...evidence].some(([check, { reading }]) => {
    if (check.core !== true || reading.status === 'ok') return false;
    return check.kind !== 'watched' || (capture !== 'none' && seconds > 0);
  });
}

function reportDrops(drop: DropCount): ReportDrops {
  const { reason, location, protocol, packets } = drop;
  return { reason, location, protocol, packets, ...whereaboutsOf(new Map([[drop, packets]])) };
}

function packetsOf(parts: readonly { readonly packets: number }[]): number {
  return parts.reduce((total, { packets }) => total + packets, 0);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
