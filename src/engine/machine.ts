import type { AnyCheck } from '../model/check.ts';
import type { DropCapture, DropCount } from '../model/drops.ts';
import type { Machine, Site } from '../model/host.ts';
import { ok } from '../model/reading.ts';
import type { AnyRule } from '../model/rule.ts';
import { assemble } from './assemble.ts';
import { attribute, type Attribution } from './attribute.ts';
import {
  captureOf,
  collectAll,
  type Captured,
  type CheckResult,
  type Collected,
} from './collect.ts';
import type { DiagnoseOptions, Diagnosis } from './diagnose.ts';
import { explainDrops, type ExplainedDrop } from './explained-drops.ts';
import { judge, type JudgedFinding, type Judgement } from './judge.ts';
import { mergeReports, type Part, type Stray } from './merge.ts';
import { placeDrops } from './place.ts';
import { planChecks } from './plan.ts';
import { namespacesOf } from './whereabouts.ts';

/**
 * Diagnoses all network namespaces of a machine from one capture. Each is judged by its own counters and
 * its own drops; what only the machine as a whole can tell is judged once, before, from all drops.
 */
export async function diagnoseMachine(
  machine: Machine,
  checks: readonly AnyCheck[],
  rules: readonly AnyRule[],
  options: DiagnoseOptions,
): Promise<Diagnosis> {
  const { initial, others } = machine;
  const hosts = others.map(({ host }) => host);
  const collected = await collectAll(initial.host, hosts, planChecks(rules, checks), options);
  options.onProgress?.({ stage: 'judging' });

  const captured = captureOf(collected.main.evidence);
  const capture = captured?.reading.status === 'ok' ? captured.reading.value : undefined;
  const names = new Map(
    [initial, ...others].map((site) => [site.host.facts.netnsInode, site.name]),
  );
  const ofMachine = judgeMachine(rules.filter(isHostWide), collected.main, capture, names, options);
  const left = capture && { ...capture, drops: ofMachine.attribution.unexplained };

  const rest = rules.filter((rule) => !isHostWide(rule));
  const judged = [
    judgeSite(initial, collected.main, { rules: rest, captured, left, options, isInitial: true }),
    ...others.flatMap((site, index) => {
      const ofSite = collected.others[index];
      if (ofSite === undefined) return [];
      return judgeSite(site, ofSite, { rules: rest, captured, left, options, isInitial: false });
    }),
  ];
  const known = judged.every(({ placed }) => placed?.known !== false);
  // Nothing tells whose the drops are: the counters of all share them out.
  const shared = attribute(
    known ? [] : judged.flatMap(({ judgement }) => judgement.findings),
    left,
    { several: true },
  );
  const explained: ExplainedDrop[] = [];
  const parts = judged.map((site): Part => {
    const own = known
      ? attribute(site.judgement.findings, site.placed?.capture, { several: false })
      : { ...shared, elsewhere: [] };
    const isInitial = site.site === initial;
    const report = assemble(
      site.site.host.facts,
      {
        name: site.site.name,
        collected: site.collected,
        capture: captured?.reading,
        judgement: isInitial ? joinJudgements(ofMachine.judgement, site.judgement) : site.judgement,
        attribution: isInitial ? joinAttributions(ofMachine.attribution, own) : own,
        placed: site.placed && { ...site.placed, others: [] },
      },
      options,
    );
    explained.push(...explainDrops(site.placed?.capture.drops ?? [], site.judgement.findings, own));
    const ofNoNamespace = known && isInitial ? packetsOfNoNamespace(site.placed?.capture) : 0;
    return { site: site.site, report, ofNoNamespace };
  });
  return {
    report: mergeReports(parts, {
      closed: machine.closed,
      strays: known ? straysOf(left, names) : [],
      unplaced: known ? [] : shared.elsewhere,
      placesDrops: known,
      hostWide: new Set(rules.filter(isHostWide).map(({ id }) => id)),
    }),
    // Fixes are not verified here: they are applied in one namespace.
    rises: new Map(),
    drops: explained,
  };
}

/** What it rests on is the same in every namespace. */
function isHostWide({ needs }: AnyRule): boolean {
  return Object.values(needs).some((check) => check.kind === 'sampled' && check.hostWide === true);
}

interface Judged {
  readonly judgement: Judgement;
  readonly attribution: Attribution;
}

function judgeMachine(
  rules: readonly AnyRule[],
  collected: Collected,
  capture: DropCapture | undefined,
  names: ReadonlyMap<number | null, string | null>,
  { interfaces }: DiagnoseOptions,
): Judged {
  const judgement = judge(rules, collected.evidence, {
    seconds: collected.seconds,
    foreignNetns: false,
    severalNetns: false,
    interfaces,
  });
  const { sources } = attribute(judgement.findings, capture, { several: false });
  const findings = judgement.findings.map(({ rule, finding }): JudgedFinding => {
    if (finding.kind !== 'cause') return { rule, finding };
    const { netns, because } = namespacesOf(sources.get(finding) ?? new Map(), names);
    return {
      rule,
      finding: {
        ...finding,
        scope: { ...(netns === undefined ? {} : { netns }), ...finding.scope },
        because: [...finding.because, ...because],
      },
    };
  });
  return {
    judgement: { ...judgement, findings },
    attribution: attribute(findings, capture, { several: false }),
  };
}

interface JudgedSite {
  readonly site: Site;
  readonly collected: Collected;
  readonly judgement: Judgement;
  readonly placed: ReturnType<typeof placeDrops> | undefined;
}

function judgeSite(
  site: Site,
  collected: Collected,
  {
    rules,
    captured,
    left,
    options,
    isInitial,
  }: {
    readonly rules: readonly AnyRule[];
    readonly captured: Captured | undefined;
    /** Without what the causes of the whole machine account for. */
    readonly left: DropCapture | undefined;
    readonly options: DiagnoseOptions;
    readonly isInitial: boolean;
  },
): JudgedSite {
  const placed = left && placeDrops(left, site.host.facts.netnsInode, !isInitial);
  const evidence = new Map<AnyCheck, CheckResult>(collected.evidence);
  if (captured !== undefined && placed !== undefined) {
    const { check, reading } = captured;
    const notes = reading.status === 'ok' ? reading.notes : [];
    evidence.set(check, { reading: ok(placed.capture, notes), tookMs: 0 });
  }
  const judgement = judge(rules, evidence, {
    seconds: collected.seconds,
    foreignNetns: !isInitial,
    severalNetns: placed?.known !== true,
    interfaces: options.interfaces,
  });
  return { site, collected, judgement, placed };
}

function joinJudgements(a: Judgement, b: Judgement): Judgement {
  return {
    findings: [...a.findings, ...b.findings],
    notJudged: [...a.notJudged, ...b.notJudged],
    crashed: [...a.crashed, ...b.crashed],
  };
}

/** @param rest of what the causes of the machine left */
function joinAttributions(ofMachine: Attribution, rest: Attribution): Attribution {
  return {
    claimed: new Map([...ofMachine.claimed, ...rest.claimed]),
    sources: new Map([...ofMachine.sources, ...rest.sources]),
    unexplained: rest.unexplained,
    elsewhere: rest.elsewhere,
  };
}

/** Drops of namespaces that nobody looked into: closed, made after the start, or gone before it. */
function straysOf(
  left: DropCapture | undefined,
  names: ReadonlyMap<number | null, string | null>,
): readonly Stray[] {
  const strays = new Map<number, DropCount[]>();
  for (const drop of left?.drops ?? []) {
    const inode = drop.details?.netns ?? null;
    if (inode === null || names.has(inode)) continue;
    strays.set(inode, [...(strays.get(inode) ?? []), drop]);
  }
  return [...strays].map(([inode, drops]) => ({ inode, drops }));
}

function packetsOfNoNamespace(capture: DropCapture | undefined): number {
  return (capture?.drops ?? [])
    .filter(({ details }) => (details?.netns ?? null) === null)
    .reduce((sum, { packets }) => sum + packets, 0);
}
