import type { AnyCheck } from '../model/check.ts';
import type { AnyRule, Checks, Finding, JudgeWindow } from '../model/rule.ts';
import type { CheckResult } from './collect.ts';
import { crash } from './isolate.ts';

export interface Judgement {
  readonly findings: readonly JudgedFinding[];
  readonly notJudged: readonly { readonly rule: string; readonly missing: string[] }[];
  readonly crashed: readonly { readonly id: string; readonly error: string }[];
}

export interface JudgedFinding {
  readonly rule: AnyRule;
  readonly finding: Finding;
}

/** Runs every rule whose needs were met, each on its own: one that throws is one line in the report. */
export function judge(
  rules: readonly AnyRule[],
  evidence: ReadonlyMap<AnyCheck, CheckResult>,
  window: JudgeWindow,
): Judgement {
  const findings: JudgedFinding[] = [];
  const notJudged: { rule: string; missing: string[] }[] = [];
  const crashed: { id: string; error: string }[] = [];
  for (const rule of rules) {
    const needs = pick(rule.needs, evidence);
    if (needs.missing.length > 0) {
      notJudged.push({ rule: rule.id, missing: needs.missing });
      continue;
    }
    const wants = pick(rule.wants, evidence);
    try {
      const found = rule.judge({ ...wants.values, ...needs.values }, window);
      // Attribution knows findings by identity, and a rule may return the same one each time.
      findings.push(...found.map((finding) => ({ rule, finding: { ...finding } })));
    } catch (error) {
      crashed.push({ id: rule.id, error: crash(error).reason });
    }
  }
  return { findings, notJudged, crashed };
}

function pick(
  checks: Checks,
  evidence: ReadonlyMap<AnyCheck, CheckResult>,
): { values: Record<string, unknown>; missing: string[] } {
  const values: Record<string, unknown> = {};
  const missing: string[] = [];
  for (const [name, check] of Object.entries(checks)) {
    const reading = evidence.get(check)?.reading;
    if (reading?.status === 'ok') values[name] = reading.value;
    else missing.push(`${check.id}: ${reading?.reason ?? 'not read'}`);
  }
  return { values, missing };
}
