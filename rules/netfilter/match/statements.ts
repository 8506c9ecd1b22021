import type {
  Arm,
  Element,
  Elements,
  FirewallPolicy,
  FirewallRule,
  Match,
  Matching,
  NftSet,
  Statement,
  Value,
  Way,
} from '../../../checks/firewall.ts';
import { fieldOf } from './fields.ts';
import type { Packet, PacketAtHook } from './packet.ts';
import { every, not, some, type Truth } from './truth.ts';

/** Chains and sets have names within their table. */
export function nameInTable(entry: FirewallRule | FirewallPolicy, name: string): string {
  return `${entry.family} ${entry.table} ${name}`;
}

/** A statement, prepared for many packets. */
export interface Step {
  readonly text: string;
  /** How much work it is, in comparisons. */
  readonly work: number;
  run(packet: PacketAtHook): Outcome;
}

export interface Outcome {
  /** Whether the packet goes on to the next statement of the rule. */
  readonly passes: Truth;
  readonly ways: readonly PossibleWay[];
}

export interface PossibleWay {
  readonly way: Way;
  readonly truth: Truth;
}

const TESTED: Readonly<Record<Truth, Outcome>> = {
  yes: { passes: 'yes', ways: [] },
  no: { passes: 'no', ways: [] },
  unknown: { passes: 'unknown', ways: [] },
};

/** @param setOf a set in the table of the rule; undefined: its elements are not known */
export function stepOf(statement: Statement, setOf: (name: string) => NftSet | undefined): Step {
  switch (statement.kind) {
    case 'match': {
      const { test, work } = matchTest(statement, setOf);
      return { text: statement.text, work, run: (packet) => TESTED[test(packet)] };
    }
    case 'vmap': {
      const { key, arms, text } = statement;
      if (arms === undefined) return { text, work: 1, run: () => TESTED.unknown };
      const waysOf = armsTest(key, arms);
      const run = (packet: PacketAtHook): Outcome => ({ passes: 'no', ways: waysOf(packet) });
      return { text, work: arms.length, run };
    }
    case 'decision': {
      const decided: Outcome = { passes: 'no', ways: [{ way: statement.way, truth: 'yes' }] };
      return { text: '', work: 1, run: () => decided };
    }
    case 'undecidable':
      return { text: statement.text, work: 1, run: () => TESTED.unknown };
  }
}

type Test = (packet: PacketAtHook) => Truth;

function matchTest(
  { key, operator, right }: Match,
  setOf: (name: string) => NftSet | undefined,
): { readonly test: Test; readonly work: number } {
  const operand = 'set' in right ? setOf(right.set) : right;
  const holds = operatorTests[operator](key, operand);
  return {
    test: (packet) => {
      const present = has(key, packet);
      return present === 'no' ? 'no' : every([present, holds(packet)], (truth) => truth);
    },
    // A single expression finds its interval by bisection.
    work: key.length === 1 ? 1 : (elementsOf(operand)?.length ?? 1),
  };
}

type Operand = NftSet | Elements | undefined;

const operatorTests: Readonly<
  Record<Match['operator'], (key: readonly string[], right: Operand) => Test>
> = {
  '==': isAmong,
  '!=': (key, right) => negated(isAmong(key, right)),
  '<=': (key, right) => isAmong(key, upTo(right)),
  '>': (key, right) => negated(isAmong(key, upTo(right))),
  '<': isBelow,
  '>=': (key, right) => negated(isBelow(key, right)),
};

function negated(test: Test): Test {
  return (packet) => not(test(packet));
}

function isBelow(key: readonly string[], right: Operand): Test {
  const [isUpTo, isEqual] = [isAmong(key, upTo(right)), isAmong(key, right)];
  return (packet) => every([isUpTo, negated(isEqual)], (test) => test(packet));
}

/** All values from zero to the one given. */
function upTo(right: Operand): Operand {
  const [element] = elementsOf(right) ?? [];
  const [to] = element ?? [];
  return typeof to === 'object' || to === undefined ? undefined : [[{ from: 0, to }]];
}

function elementsOf(operand: Operand): Elements | undefined {
  return operand === undefined || !('elements' in operand) ? operand : operand.elements;
}

function has(key: readonly string[], packet: PacketAtHook): Truth {
  return every(key, (expression) => fieldOf(expression).has(packet));
}

function isAmong(key: readonly string[], right: Operand): Test {
  const elements = elementsOf(right);
  if (right === undefined || elements === undefined) return () => 'unknown';
  const test = elementsTest(key, elements);
  if (!('elements' in right) || !right.changing) return test;
  return (packet) => (test(packet) === 'yes' ? 'yes' : 'unknown');
}

function elementsTest(key: readonly string[], elements: Elements): Test {
  const [first = '', ...more] = key;
  if (more.length === 0) {
    return fieldOf(first).among(elements.flatMap((element) => element.slice(0, 1)));
  }
  const tests = elements.map((element) => concatenationTest(key, element));
  return (packet) => some(tests, (test) => test(packet));
}

function concatenationTest(key: readonly string[], element: Element): Test {
  if (element.length !== key.length) return () => 'unknown';
  const tests = key.map((expression, index) =>
    fieldOf(expression).among(element.slice(index, index + 1)),
  );
  return (packet) => every(tests, (test) => test(packet));
}

/** The ways a packet may take by a verdict map. None: it has no such field, or no arm is for it. */
function armsTest(
  key: readonly string[],
  arms: readonly Arm[],
): (packet: PacketAtHook) => readonly PossibleWay[] {
  const tests = arms.flatMap(({ element, way }) =>
    element === null ? [] : [{ test: elementsTest(key, [element]), way }],
  );
  const otherwise = arms.find(({ element }) => element === null)?.way;
  return (packet) => {
    const present = has(key, packet);
    if (present === 'no') return [];
    const possible: PossibleWay[] = [];
    for (const { test, way } of tests) {
      const truth = test(packet);
      if (truth === 'yes') return [{ way, truth: present }];
      if (truth === 'unknown') possible.push({ way, truth });
    }
    if (otherwise === undefined) return possible;
    return [...possible, { way: otherwise, truth: possible.length === 0 ? present : 'unknown' }];
  };
}

/** The conditions of a rule, each with what a packet meets in the set it names: `ip saddr @blocked (10.77.0.0/24)`. */
export function conditionsMet(rule: FirewallRule, packet: Packet, matching: Matching): string {
  const [hook = 'input'] = rule.hooks;
  const conditions = (matching.statements.get(rule.key) ?? []).flatMap((statement) => {
    if (statement.kind !== 'match') return statement.kind === 'vmap' ? [statement.text] : [];
    const { key, operator, right, text } = statement;
    const set =
      operator === '==' && 'set' in right
        ? matching.sets.get(nameInTable(rule, right.set))
        : undefined;
    const met = set?.elements.find(
      (element) => elementsTest(key, [element])({ ...packet, hook }) === 'yes',
    );
    return [met === undefined ? text : `${text} (${elementText(met)})`];
  });
  return conditions.length === 0 ? 'a rule for every packet' : conditions.join(' ');
}

function elementText(element: Element): string {
  return element.map((value) => valueText(value)).join(' . ');
}

function valueText(value: Value): string {
  if (typeof value !== 'object') return String(value);
  return 'prefix' in value ? `${value.prefix}/${value.bits}` : `${value.from}-${value.to}`;
}
