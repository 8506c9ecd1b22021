import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checks } from '../../../checks/index.ts';
import { rules } from '../../../rules/index.ts';
import type { CheckResult } from '../../../src/engine/collect.ts';
import { judge, type Judgement } from '../../../src/engine/judge.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { AnyCheck, Sampled, SampledCheck } from '../../../src/model/check.ts';
import { ok, unread, type Reading } from '../../../src/model/reading.ts';
import { defineRule, type AnyRule, type JudgeWindow } from '../../../src/model/rule.ts';
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

interface QuietWindow {
  readonly window: JudgeWindow;
  /** By check id. */
  readonly readings: Readonly<Record<string, Reading<unknown>>>;
}

/** A window in which nothing happened, as these rules see it; any of the checks may have failed. */
function quietWindow(rules: readonly AnyRule[]): fc.Arbitrary<QuietWindow> {
  const readings = checksOf(rules).map((check) => {
    const value = sinceBoot[check.id];
    if (value === undefined) throw new Error(`no builder for the check ${check.id}`);
    const evidence = value.map((value) =>
      ok(check.kind === 'sampled' ? sampled(value, value) : value),
    );
    const failure = fc.constant(unread('absent', 'not here'));
    return [check.id, fc.oneof({ weight: 4, arbitrary: evidence }, failure)] as const;
  });
  return fc.record({
    window: fc.record({
      seconds: fc.constantFrom(0, 0.001, 5, 3600),
      foreignNetns: fc.boolean(),
      severalNetns: fc.boolean(),
      interfaces: fc.constantFrom([], ['eth0']),
    }),
    readings: fc.record(Object.fromEntries(readings)),
  });
}

function judgeIn({ window, readings }: QuietWindow, rules: readonly AnyRule[]): Judgement {
  const results = checksOf(rules).map((check): [AnyCheck, CheckResult] => [
    check,
    { reading: readings[check.id] ?? unread('absent', ''), tookMs: 0 },
  ]);
  return judge(rules, new Map(results), window);
}

/** Fails when a rule takes a total since boot, or a setting, for a loss. */
function expectQuiet({ findings, crashed }: Judgement): void {
  expect(crashed).toEqual([]);
  for (const { finding } of findings) {
    const loss = finding.kind === 'cause' ? [finding.packets, severityOf(finding)] : [];
    expect([[], [0, 'notice']]).toContainEqual(loss);
  }
}

test.each(checksOf(rules).map(({ id }) => [id]))('the check %s has a builder', (id) => {
  expect(Object.keys(sinceBoot)).toContain(id);
});

test.each(rules.map((rule) => [rule.id, rule] as const))(
  '%s: totals since boot are no loss, whatever they are',
  (_, rule) => {
    const staysQuiet = fc.property(quietWindow([rule]), (quiet) => {
      expectQuiet(judgeIn(quiet, [rule]));
    });
    fc.assert(staysQuiet, { numRuns: 200 });
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
    const staysQuiet = fc.property(quietWindow([careless]), (quiet) => {
      expectQuiet(judgeIn(quiet, [careless]));
    });
    expect(fc.check(staysQuiet, { numRuns: 500 }).failed).toBe(true);
  },
);

test('the builders reach the rules: each is judged, and none for want of a value', () => {
  const judged = new Set<string>();
  fc.assert(
    fc.property(quietWindow(rules), (quiet) => {
      const { notJudged } = judgeIn(quiet, rules);
      const skipped = new Set(notJudged.map(({ rule }) => rule));
      for (const { id } of rules) if (!skipped.has(id)) judged.add(id);
    }),
  );
  expect([...judged].sort()).toEqual(rules.map(({ id }) => id).sort());
});
