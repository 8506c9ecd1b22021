import type { AnyCheck } from '../model/check.ts';
import type { AnyRule, Checks } from '../model/rule.ts';

/** The checks those rules need or want, and the core ones, which the verdict rests on. Each once. */
export function planChecks(
  rules: readonly AnyRule[],
  checks: readonly AnyCheck[],
): readonly AnyCheck[] {
  const used = new Set<AnyCheck>(
    rules.flatMap((rule) => {
      const evidence: Checks = { ...rule.needs, ...rule.wants };
      return Object.values(evidence);
    }),
  );
  return checks.filter((check) => used.has(check) || check.core === true);
}
