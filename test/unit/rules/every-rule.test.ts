import { describe, expect, test } from 'vitest';
import { rules } from '../../../rules/index.ts';
import { attribute } from '../../../src/engine/attribute.ts';
import type { CheckResult } from '../../../src/engine/collect.ts';
import { judge } from '../../../src/engine/judge.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { AnyCheck } from '../../../src/model/check.ts';
import { ok, unread } from '../../../src/model/reading.ts';
import type { AnyRule, CauseFinding, JudgeWindow } from '../../../src/model/rule.ts';
import { causeIds } from '../catalogue/cause-ids.ts';
import { causesOf, foreign, window } from './evidence.ts';
import { examples, healthyHost, type Example, type HostEvidence } from './example.ts';

const healthy = healthyHost();
/** More than any host drops for no reason. */
const VERY_MANY = 1_000_000;
const CLEAR = 500;

function ruleOf({ rule: id }: Example): AnyRule {
  const rule = rules.find((rule) => rule.id === id);
  if (rule === undefined) throw new Error(`no rule ${id}`);
  return rule;
}

interface Look {
  /** Ids of checks that could not look. */
  readonly blind?: readonly string[];
  readonly where?: JudgeWindow;
}

function judgeHost(
  rules: readonly AnyRule[],
  host: Partial<HostEvidence>,
  { blind = [], where = window }: Look = {},
) {
  const evidence = { ...healthy, ...host };
  const checks = rules.flatMap(({ needs, wants }) => Object.values({ ...needs, ...wants }));
  const results = checks.map((check): [AnyCheck, CheckResult] => {
    const { id } = check;
    if (!(id in evidence)) throw new Error(`healthyHost() says nothing of the check ${id}`);
    const reading = blind.includes(id)
      ? unread('absent', 'not here')
      : ok(evidence[id as keyof HostEvidence]);
    return [check, { reading, tookMs: 0 }];
  });
  const judgement = judge(rules, new Map(results), where);
  expect(judgement.crashed).toEqual([]);
  return judgement;
}

function causesIn(example: Example, amount: number, look: Look = {}) {
  const { findings } = judgeHost([ruleOf(example)], example.evidence(amount), look);
  return causesOf(findings.map(({ finding }) => finding));
}

const clearOf = ({ clear = CLEAR, causeFrom }: Example): number =>
  causeFrom === 'never' ? VERY_MANY : clear;

describe.each(
  examples.map((example, index) => ({ ...example, name: `${example.rule} (${index})` })),
)('$name', (example) => {
  const { rule, causeFrom, beside = [] } = example;

  test('it is found, and explains all that was captured', () => {
    const amount = clearOf(example);
    const host = example.evidence(amount);
    const { findings } = judgeHost([ruleOf(example)], host);
    const found = findings.map(({ finding }) => finding.kind);
    expect(found).toContain(causeFrom === 'never' ? 'benign' : 'cause');
    const everyone = judgeHost(rules, host).findings;
    const { unexplained } = attribute(everyone, host.drops, { several: false });
    expect(unexplained).toEqual([]);
  });

  test('its boundary: one less is no cause', () => {
    const [least, tooFew] = causeFrom === 'never' ? [0, VERY_MANY] : [causeFrom, causeFrom - 1];
    expect(causesIn(example, tooFew)).toEqual([]);
    expect(causesIn(example, least).length > 0).toBe(causeFrom !== 'never');
  });

  test('no look-alike: no other rule takes it for a cause of its own', () => {
    const { findings, notJudged } = judgeHost(rules, example.evidence(clearOf(example)));
    expect(notJudged).toEqual([]);
    const blamed = findings.filter(({ finding }) => finding.kind === 'cause');
    expect([...new Set(blamed.map(({ rule }) => rule.id))].sort()).toEqual(
      [...(causeFrom === 'never' ? [] : [rule]), ...beside].sort(),
    );
  });

  test('no look-alike: what tracefs saw of another namespace', () => {
    const { drops } = example.evidence(clearOf(example));
    if (drops === undefined) return;
    const unplaced = drops.drops.map(({ details: _, ...drop }) => drop);
    const host = { drops: { ...drops, drops: unplaced, others: [] } };
    const { findings } = judgeHost(rules, host, { where: foreign });
    const alarms = findings.filter(
      ({ finding }) => finding.kind === 'cause' && severityOf(finding) !== 'notice',
    );
    expect(alarms.map(({ rule, finding }) => [rule.id, finding])).toEqual([]);
  });

  test('whoever cannot look says less, never more', () => {
    const wants = Object.values(ruleOf(example).wants).map(({ id }) => id);
    for (const amount of amountsOf(example)) {
      for (const where of [window, foreign]) {
        const all = causesIn(example, amount, { where });
        for (const blind of subsets(wants)) {
          const less = causesIn(example, amount, { where, blind });
          for (const measure of [packetsOf, surestOf, worstOf]) {
            const told = `${measure.name} of ${amount} without ${blind.join(', ')}`;
            expect(measure(less), told).toBeLessThanOrEqual(measure(all));
          }
        }
      }
    }
  });
});

/** Around the boundary, where severities begin (rank.ts), and without doubt. */
function amountsOf(example: Example): readonly number[] {
  const clear = clearOf(example);
  const { causeFrom } = example;
  const boundary = causeFrom === 'never' ? [] : [causeFrom - 1, causeFrom, 2 * causeFrom];
  return [...boundary, 5, 20, 50, clear].filter((amount) => amount <= clear);
}

function subsets<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  return Array.from({ length: 2 ** items.length }, (_, which) =>
    items.filter((_, index) => (which >> index) % 2 === 1),
  );
}

function packetsOf(causes: readonly CauseFinding[]): number {
  return causes.reduce((sum, { packets }) => sum + packets, 0);
}

function surestOf(causes: readonly CauseFinding[]): number {
  const order = ['possible', 'likely', 'certain'] as const;
  return Math.max(-1, ...causes.map(({ confidence }) => order.indexOf(confidence)));
}

function worstOf(causes: readonly CauseFinding[]): number {
  const order = ['notice', 'warning', 'critical'] as const;
  return Math.max(-1, ...causes.map((cause) => order.indexOf(severityOf(cause))));
}

test('every rule has an example', () => {
  const known = new Set(examples.map(({ rule }) => rule));
  expect(rules.filter(({ id }) => !known.has(id)).map(({ id }) => id)).toEqual([]);
});

test('on a host that loses nothing no rule finds a cause', () => {
  const { findings, notJudged } = judgeHost(rules, {});
  expect(notJudged).toEqual([]);
  expect(causesOf(findings.map(({ finding }) => finding))).toEqual([]);
});

test('every known cause has a rule, or is another name of one', () => {
  const names = new Set(rules.flatMap(({ id, aliases }) => [id, ...aliases]));
  expect([...causeIds].filter((id) => !names.has(id))).toEqual([]);
});

test('every rule that finds causes is of a known one', () => {
  const harmless = new Set(
    examples.filter(({ causeFrom }) => causeFrom === 'never').map(({ rule }) => rule),
  );
  const names = rules
    .filter(({ id }) => !harmless.has(id))
    .flatMap(({ id, aliases }) => [id, ...aliases]);
  expect(names.filter((name) => !causeIds.has(name))).toEqual([]);
});

test('what a cause rules out is a cause, and what it follows from is one', () => {
  const names = new Set(rules.flatMap(({ id, aliases }) => [id, ...aliases]));
  const ruledOut = examples.flatMap((example) =>
    causesIn(example, clearOf(example)).flatMap(({ rulesOut }) => rulesOut.map(({ id }) => id)),
  );
  const origins = rules.flatMap(({ consequenceOf }) => consequenceOf);
  expect([...ruledOut, ...origins].filter((id) => !names.has(id))).toEqual([]);
});
