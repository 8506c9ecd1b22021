import type { AnyCheck } from '../model/check.ts';
import type { DropCapture } from '../model/drops.ts';
import type { Host } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import type { Report } from '../model/report.ts';
import type { AnyRule } from '../model/rule.ts';
import { assemble, type ReportOptions } from './assemble.ts';
import { attribute } from './attribute.ts';
import { collect, type Collected, type CollectOptions } from './collect.ts';
import { judge } from './judge.ts';
import { planChecks } from './plan.ts';

export interface DiagnoseOptions extends CollectOptions, ReportOptions {}

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
  // By a name of its own, or inside `ip netns exec`: what counts is whether it is the initial one.
  const foreign = host.initial !== host;
  const several = foreign || (host.facts.netnsCount ?? 1) > 1;
  const judgement = judge(rules, collected.evidence, {
    seconds: collected.seconds,
    foreignNetns: foreign,
    severalNetns: several,
    interfaces: options.interfaces,
  });
  const attribution = attribute(
    judgement.findings,
    capture?.status === 'ok' ? capture.value : undefined,
    { several },
  );
  const report = assemble(host.facts, { collected, capture, judgement, attribution }, options);
  return { report, rises: collected.rises };
}

function captureOf({ evidence }: Collected): Reading<DropCapture> | undefined {
  for (const [check, { reading }] of evidence) {
    // The drops check is the one that watches, and its value is a DropCapture.
    if (check.kind === 'watched') return reading as Reading<DropCapture>;
  }
  return undefined;
}
