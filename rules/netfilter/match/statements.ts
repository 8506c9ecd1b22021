import type {
  Arm,
  Element,
  Elements,
  FirewallPolicy,
  FirewallRule,
  Match,
  NftSet,
  Statement,
  Way,
} from '../../../checks/firewall.ts';
import { fieldOf, type Field } from './fields.ts';
import type { PacketAtHook } from './packet.ts';
import { every, not, some, type Truth } from './truth.ts';

/** What a statement makes of a packet. */
export interface Outcome {
  /** Whether it goes on to the next statement of the rule. */
  readonly passes: Truth;
  readonly ways: readonly PossibleWay[];
}

export interface PossibleWay {
  readonly way: Way;
  readonly truth: Truth;
}

/** The elements of a set in the table of the rule. Undefined: not known. */
export type SetOf = (name: string) => NftSet | undefined;

const PASSES: Readonly<Record<Truth, Outcome>> = {
  yes: { passes: 'yes', ways: [] },
  no: { passes: 'no', ways: [] },
  unknown: { passes: 'unknown', ways: [] },
};

export function outcomeOf(statement: Statement, packet: PacketAtHook, setOf: SetOf): Outcome {
  switch (statement.kind) {
    case 'match':
      return PASSES[matches(statement, packet, setOf)];
    case 'vmap':
      return statement.arms === undefined
        ? PASSES.unknown
        : { passes: 'no', ways: waysOf(statement.key, statement.arms, packet) };
    case 'decision':
      return { passes: 'no', ways: [{ way: statement.way, truth: 'yes' }] };
    case 'undecidable':
      return PASSES.unknown;
  }
}

function matches({ key, operator, right }: Match, packet: PacketAtHook, setOf: SetOf): Truth {
  const present = has(key, packet);
  if (present === 'no') return 'no';
  const holds = operators[operator](key, 'set' in right ? setOf(right.set) : right, packet);
  return present === 'yes' || holds === 'no' ? holds : 'unknown';
}

type Operand = NftSet | Elements | undefined;
type Test = (key: readonly string[], right: Operand, packet: PacketAtHook) => Truth;

const operators: Readonly<Record<Match['operator'], Test>> = {
  '==': isAmong,
  '!=': (...operands) => not(isAmong(...operands)),
  '<=': isUpTo,
  '>': (...operands) => not(isUpTo(...operands)),
  '<': isBelow,
  '>=': (...operands) => not(isBelow(...operands)),
};

function isAmong(key: readonly string[], right: Operand, packet: PacketAtHook): Truth {
  if (right === undefined) return 'unknown';
  if (!('elements' in right)) return isOneOf(key, right, packet);
  const truth = isOneOf(key, right.elements, packet);
  return truth === 'no' && right.changing ? 'unknown' : truth;
}

function isUpTo(key: readonly string[], right: Operand, packet: PacketAtHook): Truth {
  const [[to] = []] = right === undefined || 'elements' in right ? [] : right;
  return typeof to === 'object' || to === undefined
    ? 'unknown'
    : isAmong(key, [[{ from: 0, to }]], packet);
}

function isBelow(...operands: Parameters<Test>): Truth {
  return every([isUpTo(...operands), not(isAmong(...operands))], (truth) => truth);
}

function has(key: readonly string[], packet: PacketAtHook): Truth {
  return every(key, (expression) => fieldOf(expression).has(packet));
}

type ElementsTest = (packet: PacketAtHook) => Truth;

/** So many elements are worth being prepared. */
const MANY_ELEMENTS = 16;
/** By the elements, and the field. */
const prepared = new WeakMap<Elements, Map<Field, ElementsTest>>();

function isOneOf(key: readonly string[], elements: Elements, packet: PacketAtHook): Truth {
  const [first = '', ...more] = key;
  const field = fieldOf(first);
  if (more.length > 0 || field.among === undefined || elements.length < MANY_ELEMENTS) {
    return some(elements, (element) => isElement(key, element, packet));
  }
  const tests = prepared.get(elements) ?? new Map<Field, ElementsTest>();
  prepared.set(elements, tests);
  const test = tests.get(field) ?? field.among(elements.flatMap((values) => values.slice(0, 1)));
  tests.set(field, test);
  return test(packet);
}

function isElement(key: readonly string[], element: Element, packet: PacketAtHook): Truth {
  if (element.length !== key.length) return 'unknown';
  return every(element.keys(), (index) => {
    const value = element[index];
    return value === undefined ? 'unknown' : fieldOf(key[index] ?? '').is(value, packet);
  });
}

/** The ways a packet may take by a verdict map. None: it has no such field, or no arm is for it. */
function waysOf(
  key: readonly string[],
  arms: readonly Arm[],
  packet: PacketAtHook,
): readonly PossibleWay[] {
  const present = has(key, packet);
  if (present === 'no') return [];
  const possible: PossibleWay[] = [];
  for (const { element, way } of arms) {
    const truth = element === null ? 'no' : isElement(key, element, packet);
    if (truth === 'yes') return [{ way, truth: present }];
    if (truth === 'unknown') possible.push({ way, truth });
  }
  const otherwise = arms.find(({ element }) => element === null);
  if (otherwise === undefined) return possible;
  return [...possible, { way: otherwise.way, truth: possible.length === 0 ? present : 'unknown' }];
}

/** How much work a statement is, in comparisons: of a single expression few, because they are sorted. */
export function workOf(statement: Statement, setOf: SetOf): number {
  if (statement.kind === 'vmap') return statement.arms?.length ?? 1;
  if (statement.kind !== 'match' || statement.key.length === 1) return 1;
  const { right } = statement;
  return ('set' in right ? setOf(right.set)?.elements : right)?.length ?? 1;
}

/** Chains and sets have names within their table. */
export function nameInTable(entry: FirewallRule | FirewallPolicy, name: string): string {
  return `${entry.family} ${entry.table} ${name}`;
}
