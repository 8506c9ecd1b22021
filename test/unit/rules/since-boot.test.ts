import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checks } from '../../../checks/index.ts';
import { rules } from '../../../rules/index.ts';
import type { CheckResult } from '../../../src/engine/collect.ts';
import { judge, type Judgement } from '../../../src/engine/judge.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { AnyCheck, Sampled, SampledCheck } from '../../../src/model/check.ts';
import { ok, unread } from '../../../src/model/reading.ts';
import {
  defineRule,
  type AnyRule,
  type CauseFinding,
  type JudgeWindow,
} from '../../../src/model/rule.ts';
import { sampled } from './evidence.ts';
import { sinceBoot } from './since-boot-evidence.ts';

/** The checks these rules read. */
function checksOf(rules: readonly AnyRule[]): readonly AnyCheck[] {
  const all = rules.flatMap(({ needs, wants }) => [
    ...Object.values(needs),
    ...Object.values(wants),
  ]);
  return [...new Set(all)];
}

/** A window in which nothing happened, as these rules see it; any check but the core may be missing. */
function quietWindow(rules: readonly AnyRule[]): fc.Arbitrary<Judgement> {
  const results = checksOf(rules).map((check): fc.Arbitrary<[AnyCheck, CheckResult]> => {
    const value = sinceBoot[check.id];
    if (value === undefined) throw new Error(`no builder for the check ${check.id}`);
    const evidence =
      check.kind === 'watched' ? value : value.map((reading) => sampled(reading, reading));
    const reading = evidence.map((evidence) => ok(evidence));
    return fc
      .oneof({ weight: 4, arbitrary: reading }, fc.constant(unread('absent', 'not here')))
      .map((reading) => [check, { reading, tookMs: 0 }]);
  });
  const window: fc.Arbitrary<JudgeWindow> = fc.record({
    seconds: fc.constantFrom(0, 0.001, 5, 3600),
    foreignNetns: fc.boolean(),
    severalNetns: fc.boolean(),
    interfaces: fc.constantFrom([], ['eth0']),
  });
  return fc
    .tuple(window, ...results)
    .map(([window, ...results]) => judge(rules, new Map(results), window));
}

const isCause = (finding: { readonly kind: string }): finding is CauseFinding =>
  finding.kind === 'cause';

/** Fails when a rule takes a total since boot, or a setting, for a loss. */
function expectQuiet({ findings, crashed }: Judgement): void {
  expect(crashed).toEqual([]);
  const causes = findings.map(({ finding }) => finding).filter(isCause);
  for (const cause of causes) {
    expect(cause.packets).toBe(0);
    expect(severityOf(cause)).toBe('notice');
  }
}

test.each(checksOf(rules).map(({ id }) => [id]))('the check %s has a builder', (id) => {
  expect(Object.keys(sinceBoot)).toContain(id);
});

test.each(rules.map((rule) => [rule.id, rule] as const))(
  '%s: totals since boot are no loss, whatever they are',
  (_, rule) => {
    fc.assert(fc.property(quietWindow([rule]), expectQuiet), { numRuns: 200 });
  },
);

// The property above is only worth something if it can fail, and if the builders reach a rule at all.

const counting = checks.filter(
  (check): check is SampledCheck<unknown> =>
    check.kind === 'sampled' && check.counters !== undefined,
);

test.each(counting.map((check) => [check.id, check] as const))(
  'a rule that fires on the totals of %s is caught',
  (_, check) => {
    const careless = defineRule({
      id: 'careless',
      title: '',
      needs: { check },
      reviewed: '',
      explain: { see: '', kernel: '', confirm: '', fix: '', normal: '', references: [] },
      judge: ({ check: { last } }: { readonly check: Sampled<unknown> }) => {
        const total = [...(check.counters?.(last) ?? [])].reduce((sum, [, n]) => sum + n, 0n);
        return [
          {
            kind: 'cause',
            confidence: 'certain',
            packets: Number(total),
            scope: {},
            because: [],
            means: '',
            rulesOut: [],
            fixes: [],
            claims: [],
          },
        ];
      },
    });
    expect(() => {
      fc.assert(fc.property(quietWindow([careless]), expectQuiet), { numRuns: 500 });
    }).toThrow('Property failed');
  },
);

test('the builders reach the rules: each is judged, and none for want of a value', () => {
  const judged = new Set<string>();
  fc.assert(
    fc.property(quietWindow(rules), ({ notJudged }) => {
      const skipped = new Set(notJudged.map(({ rule }) => rule));
      for (const { id } of rules) if (!skipped.has(id)) judged.add(id);
    }),
  );
  expect([...judged].sort()).toEqual(rules.map(({ id }) => id).sort());
});
