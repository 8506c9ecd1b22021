import type { AnyCheck } from '../model/check.ts';
import type { Host } from '../model/host.ts';
import { ok } from '../model/reading.ts';
import type { Report } from '../model/report.ts';
import type { AnyRule } from '../model/rule.ts';
import { assemble, type ReportOptions } from './assemble.ts';
import { attribute } from './attribute.ts';
import { captureOf, collect, type CollectOptions } from './collect.ts';
import { explainDrops, type ExplainedDrop } from './explained-drops.ts';
import { judge } from './judge.ts';
import { isHere, placeDrops } from './place.ts';
import { planChecks } from './plan.ts';

export interface DiagnoseOptions extends CollectOptions, ReportOptions {}

export interface Diagnosis {
  readonly report: Report;
  /** How far each counter rose, by `<check id> <counter>`: what a fix is verified against. */
  readonly rises: ReadonlyMap<string, number>;
  /** Every kind of drop that the capture saw here, as far as it tells namespaces apart. */
  readonly drops: readonly ExplainedDrop[];
}

/** Measures, judges, attributes, ranks. Everything whydrop says comes out of here. */
export async function diagnose(
  host: Host,
  checks: readonly AnyCheck[],
  rules: readonly AnyRule[],
  options: DiagnoseOptions,
): Promise<Diagnosis> {
  const { netns, netnsInode } = host.facts;
  const collected = await collect(host, planChecks(rules, checks), {
    ...options,
    // Who named a namespace wants to know of no other: they are counted, no more.
    ...(netns !== null && netnsInode !== null && { netns: netnsInode }),
  });
  options.onProgress?.({ stage: 'judging' });
  const capture = captureOf(collected.evidence);
  // By a name of its own, or inside `ip netns exec`: what counts is whether it is the initial one.
  const foreign = host.initial !== host;
  const placed =
    capture?.reading.status === 'ok'
      ? placeDrops(capture.reading.value, host.facts.netnsInode, foreign)
      : undefined;
  const several = placed?.known !== true && (foreign || (host.facts.netnsCount ?? 1) > 1);
  const evidence = new Map(collected.evidence);
  if (capture?.reading.status === 'ok' && placed !== undefined) {
    const { notes } = capture.reading;
    const { others } = placed;
    evidence.set(capture.check, {
      reading: ok({ ...placed.capture, others }, notes),
      tookMs: capture.tookMs,
    });
  }
  const judgement = judge(rules, evidence, {
    seconds: collected.seconds,
    foreignNetns: foreign,
    severalNetns: several,
    interfaces: options.interfaces,
  });
  const attribution = attribute(judgement.findings, placed?.capture, { several });
  const report = assemble(
    host.facts,
    { name: netns, collected, capture: capture?.reading, judgement, attribution, placed },
    options,
  );
  const here = (placed?.capture.drops ?? []).filter((drop) =>
    isHere(drop, host.facts.netnsInode, foreign),
  );
  const drops = explainDrops(here, judgement.findings, attribution);
  return { report, rises: collected.rises, drops };
}
