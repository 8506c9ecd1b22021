import { packetsOf, type DropCapture, type DropCount, type DropDetails } from '../model/drops.ts';
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
import { reconcile } from './reconcile.ts';
import { suppressionOf, type SuppressOptions } from './suppress.ts';
import { verdictOf } from './verdict.ts';
import {
  flowsOf,
  inProportion,
  interfaceOf,
  ofFlows,
  ownerOf,
  whereaboutsOf,
} from './whereabouts.ts';

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
  /** What the report calls the namespace; `facts.netns` is how to get there. Null: it has no name. */
  readonly name: string | null;
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
  { hostname, kernel, distribution, recorded, root, netns }: HostFacts,
  { name, collected, capture, judgement, attribution, placed }: Results,
  options: ReportOptions,
): Report {
  const { findings } = judgement;
  const { seconds } = collected;
  const owners = placed?.capture.owners;
  const found = causesOf(findings, attribution, { name, netns, owners }).filter((cause) =>
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
  const [unexplainedHere, unexplainedBeside] = byInterface(attribution.unexplained, options);
  const unexplained = packetsOf(unexplainedHere);
  // A suppressed loss is still explained: it is hidden from the verdict, not from the arithmetic.
  const explained = packetsOf(roots) + packetsOf([...hidden]);
  const dropped = explained + harmless + unexplained;

  const reconciled = reconcile(collected.rises, placed?.capture, withoutEvents(findings));

  const report: Omit<Report, 'verdict'> = {
    schema: 'whydrop.report/1',
    tool: { name: 'whydrop', version: options.version },
    host: { hostname, kernel, distribution, recorded, root },
    window: { startedAt: options.startedAt.toISOString(), seconds: round(seconds, 3) },
    scope: { netns: netns === null ? [] : [netns], interfaces: [...options.interfaces] },
    capture: captureSummary(capture, options),
    totals: { dropped, explained, benign: harmless, unexplained },
    causes: roots.map(({ countedAgain, ...cause }, index): ReportCause => ({
      rank: index + 1,
      ...cause,
      packetsPerSecond: seconds > 0 ? round(cause.packets / seconds, 1) : 0,
      share: dropped > 0 ? cause.packets / dropped : 0,
    })),
    benign,
    unexplained: unexplainedHere.map(reportDrops),
    elsewhere: elsewhereOf(attribution.elsewhere, placed, unexplainedBeside, name),
    reconciliation: [...reconciled.rows],
    uncounted: reconciled.uncounted.map(reportDrops),
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
  {
    name,
    netns,
    owners,
  }: Pick<Results, 'name'> & Pick<HostFacts, 'netns'> & { readonly owners: DropCapture['owners'] },
): UnrankedCause[] {
  return findings.flatMap(({ rule, finding }) => {
    if (finding.kind !== 'cause') return [];
    const own = ofFlows(sources.get(finding) ?? new Map(), finding.flows);
    const drops = inProportion(own, finding.packets);
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
        ...(name === null ? {} : { netns: name }),
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

function withoutEvents(findings: readonly JudgedFinding[]): ReadonlySet<string> {
  return new Set(
    findings
      .filter(({ finding }) => finding.kind === 'cause' && finding.beforeEvents === true)
      .map(({ rule }) => rule.id),
  );
}

/** Those that can have been of the interfaces asked for, and those of other ones. */
function byInterface(
  drops: readonly DropCount[],
  { interfaces }: Pick<ReportOptions, 'interfaces'>,
): readonly [readonly DropCount[], readonly DropCount[]] {
  const isBeside = ({ details }: DropCount): boolean => {
    const name = details?.interface ?? null;
    return interfaces.length > 0 && name !== null && !interfaces.includes(name);
  };
  return [drops.filter((drop) => !isBeside(drop)), drops.filter(isBeside)];
}

function elsewhereOf(
  unplaced: readonly DropCount[],
  placed: Placed | undefined,
  ofOtherInterfaces: readonly DropCount[],
  name: string | null,
): Report['elsewhere'] {
  const { others = [] } = placed ?? {};
  const unselected = placed?.capture.unselected ?? 0;
  const here = name === null ? 'this network namespace' : `network namespace ${name}`;
  const texts = [
    unplaced.length > 0 &&
      `The tracepoint sees the whole host and does not say in which network namespace a packet died. ` +
        `No counter of ${here} accounts for these, so they are taken for drops of other namespaces.`,
    others.some(({ details }) => isPlaced(details)) &&
      'These packets died in other network namespaces: `whydrop report --netns all` looks into each.',
    others.some(({ details }) => !isPlaced(details)) &&
      'Some had neither interface nor socket: they are of no known network namespace.',
    unselected > 0 &&
      `${unselected} ${unselected === 1 ? 'packet' : 'packets'} died in other network namespaces, where whydrop did not look: \`whydrop report --netns all\` looks into each.`,
    ofOtherInterfaces.length > 0 && 'Nothing explains these, but they died on other interfaces.',
  ];
  const drops = [...unplaced, ...others, ...ofOtherInterfaces];
  return {
    packets: packetsOf(drops) + unselected,
    text: texts.filter((text) => text !== false).join(' '),
    drops: drops.map(reportDrops),
  };
}

function isPlaced(details: DropDetails | undefined): boolean {
  return details !== undefined && details.netns !== null;
}

function captureSummary(
  capture: Reading<DropCapture> | undefined,
  options: Pick<ReportOptions, 'capture'>,
): Report['capture'] {
  if (capture?.status === 'ok') {
    const { backend, events, lost, unavailable = [] } = capture.value;
    return { backend, events, lost, unavailable: [...unavailable] };
  }
  const reason = capture?.reason ?? 'no rule asked for it';
  const asked = options.capture === 'bpf' ? 'bpf' : 'tracefs';
  const tried = capture?.tried ?? [{ way: asked, reason }];
  const unavailable = tried.map(({ way, reason }) => ({ backend: way, reason }));
  return { backend: 'none', events: 0, lost: 0, unavailable };
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

export function reportDrops(drop: DropCount): ReportDrops {
  const { reason, location, protocol, packets } = drop;
  return { reason, location, protocol, packets, ...whereaboutsOf(new Map([[drop, packets]])) };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
