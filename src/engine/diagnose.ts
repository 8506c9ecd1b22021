import type { AnyCheck } from '../model/check.ts';
import type { DropCapture, DropCount } from '../model/drops.ts';
import type { Host } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import type { Report, ReportCause, ReportDrops } from '../model/report.ts';
import type { AnyRule, CauseFinding } from '../model/rule.ts';
import { attribute, type Attribution } from './attribute.ts';
import { collect, type Collected, type CollectOptions } from './collect.ts';
import { withCommand } from './commands.ts';
import { judge, type JudgedFinding, type Judgement } from './judge.ts';
import { planChecks } from './plan.ts';
import { byImpact, severityOf } from './rank.ts';
import { verdictOf } from './verdict.ts';

export interface DiagnoseOptions extends CollectOptions {
  readonly version: string;
  readonly startedAt: Date;
  /** Cause ids to report; empty: all. The others are still judged, so that their drops are explained. */
  readonly only: readonly string[];
  readonly suppressions: readonly Suppression[];
}

/** A cause the administrator does not want to hear of, in one scope or (scope absent) anywhere. */
export interface Suppression {
  readonly id: string;
  readonly scope?: string;
  readonly reason: string;
}

export interface Diagnosis {
  readonly report: Report;
  /** How far each counter rose, by `<check id> <counter>`: what a fix is verified against. */
  readonly rises: ReadonlyMap<string, number>;
}

/** Measures, judges, attributes, ranks. Everything whydrop says comes out of here. */
export async function diagnose(
  host: Host,
  checks: readonly AnyCheck[],
  rules: readonly AnyRule[],
  options: DiagnoseOptions,
): Promise<Diagnosis> {
  const collected = await collect(host, planChecks(rules, checks), options);
  options.onProgress?.({ stage: 'judging' });
  const capture = captureOf(collected);
  const several = host.facts.netns !== null || (host.facts.netnsCount ?? 1) > 1;
  const judgement = judge(rules, collected.evidence, {
    seconds: collected.seconds,
    foreignNetns: host.facts.netns !== null,
    severalNetns: several,
    interfaces: options.interfaces,
  });
  const attribution = attribute(
    judgement.findings,
    capture?.status === 'ok' ? capture.value : undefined,
    { several },
  );
  return {
    report: assemble(host, collected, judgement, attribution, capture, options),
    rises: collected.rises,
  };
}

function captureOf({ evidence }: Collected): Reading<DropCapture> | undefined {
  for (const [check, { reading }] of evidence) {
    // The drops check is the one that watches, and its value is a DropCapture.
    if (check.kind === 'watched') return reading as Reading<DropCapture>;
  }
  return undefined;
}

function assemble(
  host: Host,
  collected: Collected,
  judgement: Judgement,
  attribution: Attribution,
  capture: Reading<DropCapture> | undefined,
  options: DiagnoseOptions,
): Report {
  const { hostname, kernel, distribution, recorded, netns } = host.facts;
  const benign = benignOf(judgement.findings, attribution);
  const all = causesOf(judgement.findings, collected.seconds, netns).filter(
    ({ scope }) =>
      options.interfaces.length === 0 ||
      scope.interface === undefined ||
      options.interfaces.includes(scope.interface),
  );
  const suppressed = all.flatMap((cause) => {
    const reason = suppressionOf(cause, options);
    return reason === undefined ? [] : [{ cause, reason }];
  });
  const hidden = new Set(suppressed.map(({ cause }) => cause));
  const causes = fold(
    all.filter((cause) => !hidden.has(cause)),
    new Map(judgement.findings.map(({ rule }) => [rule.id, rule])),
  );

  const unexplained = sum(attribution.unexplained);
  const harmless = sum(benign);
  // A suppressed loss is still explained: it is hidden from the verdict, not from the arithmetic.
  const explained = sum(causes) + sum([...hidden]);
  const dropped = explained + harmless + unexplained;
  for (const cause of causes) cause.share = dropped === 0 ? 0 : cause.packets / dropped;

  const report: Omit<Report, 'verdict'> = {
    schema: 'whydrop.report/1',
    tool: { name: 'whydrop', version: options.version },
    host: { hostname, kernel, distribution, recorded },
    window: { startedAt: options.startedAt.toISOString(), seconds: round(collected.seconds, 3) },
    scope: { netns: netns === null ? [] : [netns], interfaces: [...options.interfaces] },
    capture: captureSummary(capture),
    totals: { dropped, explained, benign: harmless, unexplained },
    causes,
    benign,
    unexplained: attribution.unexplained.map(reportDrops),
    elsewhere: elsewhereOf(attribution, netns),
    reconciliation: reconcile(judgement.findings, attribution),
    notJudged: judgement.notJudged.map(({ rule, missing }) => ({ rule, missing: [...missing] })),
    suppressed: suppressed.map(({ cause, reason }) => ({ id: cause.id, reason })),
    crashed: [...judgement.crashed, ...crashedChecks(collected)],
    checks: checkStatuses(collected),
    notes: notesOf(collected, capture),
  };
  return { ...report, verdict: verdictOf(report, coreUnread(collected, options)) };
}

function causesOf(
  findings: readonly JudgedFinding[],
  seconds: number,
  netns: string | null,
): ReportCause[] {
  return findings
    .flatMap(({ rule, finding }) => (finding.kind === 'cause' ? [{ rule, finding }] : []))
    .map(({ rule, finding }): ReportCause => ({
      rank: 0,
      id: rule.id,
      title: rule.title,
      severity: severityOf(finding),
      confidence: finding.confidence,
      packets: finding.packets,
      packetsPerSecond: seconds > 0 ? round(finding.packets / seconds, 1) : 0,
      share: 0,
      scope: netns === null ? finding.scope : { netns, ...finding.scope },
      because: finding.because,
      means: finding.means,
      rulesOut: finding.rulesOut,
      fixes: finding.fixes.map((fix) => ({
        ...fix,
        steps: fix.steps.map((step) => withCommand(step, netns)),
      })),
      consequences: [],
    }));
}

/** Puts consequences under their root cause and numbers the rest by impact. */
function fold(causes: readonly ReportCause[], rules: ReadonlyMap<string, AnyRule>): ReportCause[] {
  const ranked = [...causes].sort(byImpact);
  const roots: ReportCause[] = [];
  const followers: ReportCause[] = [];
  for (const cause of ranked) {
    const origins = rules.get(cause.id)?.consequenceOf ?? [];
    const follows = ranked.some(({ id }) => origins.includes(id));
    (follows ? followers : roots).push(cause);
  }
  for (const { id, title, packets, means } of followers) {
    const origins = rules.get(id)?.consequenceOf ?? [];
    const root = roots.find((cause) => origins.includes(cause.id));
    root?.consequences.push({ id, title, packets, means });
  }
  for (const [index, root] of roots.entries()) root.rank = index + 1;
  return roots;
}

function suppressionOf(
  cause: ReportCause,
  { only, suppressions }: DiagnoseOptions,
): string | undefined {
  if (only.length > 0 && !only.includes(cause.id)) return 'not asked for (--only)';
  return suppressions.find((entry) => covers(entry, cause))?.reason;
}

function covers(suppression: Suppression, { id, scope }: ReportCause): boolean {
  if (suppression.id !== id) return false;
  const names = [scope.interface, scope.netns, scope.socket, scope.rule, scope.process?.name];
  return suppression.scope === undefined || names.includes(suppression.scope);
}

function benignOf(findings: readonly JudgedFinding[], { claimed }: Attribution): Report['benign'] {
  return findings
    .flatMap(({ rule, finding }) =>
      finding.kind === 'benign'
        ? [{ id: rule.id, packets: claimed.get(finding) ?? 0, text: finding.text }]
        : [],
    )
    .filter(({ packets }) => packets > 0)
    .sort((a, b) => b.packets - a.packets);
}

function reconcile(
  findings: readonly JudgedFinding[],
  { claimed }: Attribution,
): Report['reconciliation'] {
  return findings.flatMap(({ finding }) => {
    const counter = finding.kind === 'cause' ? finding.because[0]?.source : undefined;
    if (finding.kind !== 'cause' || counter === undefined || finding.packets === 0) return [];
    return [
      {
        counter,
        rise: finding.packets,
        byEvents: Math.min(claimed.get(finding) ?? 0, finding.packets),
        beforeEvents: beforeEvents(finding),
      },
    ];
  });
}

function beforeEvents(finding: CauseFinding): number {
  return finding.beforeEvents === true ? finding.packets : 0;
}

function elsewhereOf({ elsewhere }: Attribution, netns: string | null): Report['elsewhere'] {
  const here = netns === null ? 'this network namespace' : `network namespace ${netns}`;
  return {
    packets: sum(elsewhere),
    text:
      elsewhere.length === 0
        ? ''
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
function coreUnread({ evidence }: Collected, { capture, seconds }: DiagnoseOptions): boolean {
  return [...evidence].some(([check, { reading }]) => {
    if (check.core !== true || reading.status === 'ok') return false;
    return check.kind !== 'watched' || (capture !== 'none' && seconds > 0);
  });
}

function reportDrops({ reason, location, protocol, packets }: DropCount): ReportDrops {
  return { reason, location, protocol, packets };
}

function sum(parts: readonly { readonly packets: number }[]): number {
  return parts.reduce((total, { packets }) => total + packets, 0);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
