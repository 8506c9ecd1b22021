import { isList, isObject, numberIn, single, textIn, type Json } from './json.ts';
import { expressionText, statementText } from './nft-text.ts';

/**
 * What a rule of nftables does with a packet, in order, as far as it decides where the packet goes on.
 * Counters, logs, marks and the like, which let every packet pass, are left out.
 */
export type Statement = Match | VerdictMap | Decision | Undecidable;

/** The rule ends here for packets that do not match. */
export interface Match {
  readonly kind: 'match';
  /** One expression, or a concatenation of several, as nft writes them: `ip saddr`, `th dport`. */
  readonly key: readonly string[];
  readonly operator: Operator;
  readonly right: Elements | SetName;
}

export type Operator = '==' | '!=' | '<' | '>' | '<=' | '>=';

export interface VerdictMap {
  readonly kind: 'vmap';
  readonly key: readonly string[];
  /** Absent: the elements of a named map could not be read. */
  readonly arms?: readonly Arm[];
}

export interface Arm {
  /** Null: what no other arm matches. */
  readonly element: Element | null;
  readonly way: Way;
}

export interface Decision {
  readonly kind: 'decision';
  readonly way: Way;
}

/** Where a packet goes. A reject is a drop; what queues or translates ends the base chain as accept does. */
export type Way =
  | { readonly to: 'drop' | 'accept' | 'return' | 'continue' }
  | { readonly to: 'jump' | 'goto'; readonly chain: string };

/** May end the rule, or not: a rate limit, an extension, whatever is not known here. */
export interface Undecidable {
  readonly kind: 'undecidable';
  readonly text: string;
}

/** A name or number as nft prints it. */
export type Atom = string | number;
export type Value = Atom | { readonly from: Atom; readonly to: Atom } | Prefix;

export interface Prefix {
  readonly prefix: string;
  readonly bits: number;
}

/** One value for each expression of the key. */
export type Element = readonly Value[];
export type Elements = readonly Element[];

/** Of a set in the table of the rule. */
export interface SetName {
  readonly set: string;
}

/** Statements that every packet passes (nft_do_chain goes on with the next one). */
const PASSING = new Set(['counter', 'log', 'notrack', 'mangle', 'last', 'dup', 'flow', 'secmark']);

/** @param armsOf the arms of a verdict map in the table of the rule, by name; undefined: not known */
export function statementsFor(
  statements: readonly Json[],
  armsOf: (map: string) => readonly Arm[] | undefined,
): readonly Statement[] {
  return statements.flatMap((statement): readonly Statement[] => {
    const [name = '', body] = single(statement) ?? [];
    if (PASSING.has(name)) return [];
    const way = wayOf(statement);
    if (way !== undefined) return [{ kind: 'decision', way }];
    const known =
      name === 'match' ? matchOf(body) : name === 'vmap' ? verdictMapOf(body, armsOf) : undefined;
    return [known ?? { kind: 'undecidable', text: statementText(statement) }];
  });
}

const DROP: Way = { to: 'drop' };
const ACCEPT: Way = { to: 'accept' };
const WAYS: ReadonlyMap<string, Way> = new Map([
  ['drop', DROP],
  ['reject', DROP],
  ['accept', ACCEPT],
  ['queue', ACCEPT],
  ['snat', ACCEPT],
  ['dnat', ACCEPT],
  ['masquerade', ACCEPT],
  ['redirect', ACCEPT],
  ['return', { to: 'return' }],
  ['continue', { to: 'continue' }],
]);

function wayOf(statement: Json): Way | undefined {
  const [name = '', body] = single(statement) ?? [];
  if (name === 'jump' || name === 'goto') {
    const chain = isObject(body) ? textIn(body, 'target') : undefined;
    return chain === undefined ? undefined : { to: name, chain };
  }
  return WAYS.get(name);
}

function matchOf(body: Json | undefined): Match | undefined {
  if (!isObject(body)) return undefined;
  const { op, left, right } = body;
  if (left === undefined || right === undefined) return undefined;
  const key = keyOf(left);
  // `in` tests flags: `ct state established,related` has any of these.
  const flags = op === 'in' && isList(right) ? right : undefined;
  const operator = op === 'in' ? '==' : op;
  const operand = flags === undefined ? operandOf(right) : elementsOf(flags);
  if (!isOperator(operator) || operand === undefined) return undefined;
  return { kind: 'match', key, operator, right: operand };
}

function isOperator(value: Json | undefined): value is Operator {
  return typeof value === 'string' && /^(?:[=!<>]=|[<>])$/.test(value);
}

function verdictMapOf(
  body: Json | undefined,
  armsOf: (map: string) => readonly Arm[] | undefined,
): VerdictMap | undefined {
  if (!isObject(body) || body.key === undefined || body.data === undefined) return undefined;
  const { data } = body;
  const arms = typeof data === 'string' ? armsOf(data.replace(/^@/, '')) : armsIn(setIn(data));
  return { kind: 'vmap', key: keyOf(body.key), ...(arms !== undefined && { arms }) };
}

/** `[key, verdict]` each. Undefined: an element of a foreign shape. */
export function armsIn(list: readonly Json[] | undefined): readonly Arm[] | undefined {
  const arms = list?.map((item): Arm | undefined => {
    const [key, verdict] = isList(item) ? item : [];
    const way = verdict === undefined ? undefined : wayOf(verdict);
    const element = key === '*' ? null : elementOf(key);
    return way === undefined || element === undefined ? undefined : { element, way };
  });
  return arms === undefined ? undefined : complete(arms);
}

/** The elements of a set. Undefined: one of a foreign shape. */
export function elementsOf(list: readonly Json[]): Elements | undefined {
  return complete(list.map((item) => elementOf(item)));
}

function complete<Item>(items: readonly (Item | undefined)[]): readonly Item[] | undefined {
  const known = items.filter((item): item is Item => item !== undefined);
  return known.length === items.length ? known : undefined;
}

function keyOf(left: Json): readonly string[] {
  const [name, body] = single(left) ?? [];
  const parts = name === 'concat' && isList(body) ? body : [left];
  return parts.map((part) => expressionText(part));
}

function operandOf(right: Json): Elements | SetName | undefined {
  if (typeof right === 'string' && right.startsWith('@')) return { set: right.slice(1) };
  return elementsOf(setIn(right) ?? [right]);
}

function setIn(data: Json): readonly Json[] | undefined {
  const [name, body] = single(data) ?? [];
  return name === 'set' && isList(body) ? body : undefined;
}

function elementOf(item: Json | undefined): Element | undefined {
  const [name, body] = single(item) ?? [];
  // With a comment, a timeout or a counter of its own.
  if (name === 'elem') return isObject(body) ? elementOf(body.val) : undefined;
  if (name === 'concat') {
    return isList(body) ? complete(body.map((part) => valueOf(part))) : undefined;
  }
  const value = valueOf(item);
  return value === undefined ? undefined : [value];
}

function valueOf(item: Json | undefined): Value | undefined {
  if (isAtom(item)) return item;
  const [name, body] = single(item) ?? [];
  if (name === 'range' && isList(body)) {
    const [from, to] = body;
    return isAtom(from) && isAtom(to) ? { from, to } : undefined;
  }
  if (name === 'prefix' && isObject(body)) {
    const [prefix, bits] = [textIn(body, 'addr'), numberIn(body, 'len')];
    return prefix === undefined || bits === undefined ? undefined : { prefix, bits };
  }
  return undefined;
}

function isAtom(value: Json | undefined): value is Atom {
  return typeof value === 'string' || typeof value === 'number';
}
