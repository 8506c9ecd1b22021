import { isList, isObject, numberIn, single, textIn, type Json, type JsonObject } from './json.ts';

/**
 * The rule as `nft list ruleset` writes it, from the statements of `nft -j` (libnftables-json(5)).
 * Counters lose their values, so that the text does not change while packets are counted.
 * A statement we do not know appears as its JSON.
 */
export function ruleText(statements: readonly Json[], comment: string | null): string {
  const words = statements.map((statement) => statementText(statement));
  if (comment !== null) words.push(`comment ${quoted(comment)}`);
  return words.join(' ');
}

export function statementText(statement: Json): string {
  const [name, body] = single(statement) ?? ['', null];
  const write = statementWriters[name];
  // A known name with an unknown body (a newer nft) is as foreign as an unknown name.
  return write?.(body) ?? JSON.stringify(statement);
}

/** Undefined: not a body this writer knows. */
type Writer = (body: Json) => string | undefined;

const statementWriters: Readonly<Record<string, Writer>> = {
  match: (body) => (isObject(body) ? matchText(body) : undefined),
  // A named counter is the object's name, or an expression in newer versions.
  counter: (body) => (typeof body === 'string' ? `counter name ${quoted(body)}` : 'counter'),
  accept: () => 'accept',
  drop: () => 'drop',
  continue: () => 'continue',
  return: () => 'return',
  notrack: () => 'notrack',
  jump: (body) => verdictText('jump', body),
  goto: (body) => verdictText('goto', body),
  reject: rejectText,
  limit: (body) => (isObject(body) ? limitText(body) : nameText('limit', body)),
  quota: (body) =>
    isObject(body)
      ? `quota ${over(body)}${number(body, 'val')} ${textIn(body, 'val_unit') ?? 'bytes'}`
      : nameText('quota', body),
  'ct count': (body) =>
    isObject(body) ? `ct count ${over(body)}${number(body, 'val')}` : undefined,
  log: logText,
  queue: queueText,
  mangle: (body) => {
    if (!isObject(body)) return undefined;
    const { key, value } = body;
    if (key === undefined || value === undefined) return undefined;
    return `${expressionText(key)} set ${valueText(key, value)}`;
  },
  vmap: (body) => {
    if (!isObject(body)) return undefined;
    const { key, data } = body;
    if (key === undefined || data === undefined) return undefined;
    return `${expressionText(key)} vmap ${valueText(key, data)}`;
  },
  set: (body) => {
    if (!isObject(body)) return undefined;
    const { elem, stmt, op, set } = body;
    if (elem === undefined || typeof op !== 'string' || typeof set !== 'string') return undefined;
    const inner = isList(stmt) ? stmt.map((statement) => statementText(statement)) : [];
    return `${op} ${set} { ${[expressionText(elem), ...inner].join(' ')} }`;
  },
  masquerade: (body) => natText('masquerade', body),
  redirect: (body) => natText('redirect', body),
  snat: (body) => natText('snat', body),
  dnat: (body) => natText('dnat', body),
  tproxy: (body) => natText('tproxy', body),
  // What iptables-nft put in with its own matches and targets; nft cannot say what is in them.
  xt: (body) =>
    isObject(body)
      ? `xt ${textIn(body, 'type') ?? ''} ${quoted(textIn(body, 'name') ?? '')}`
      : 'xt',
};

function matchText(match: JsonObject): string | undefined {
  const { op, left, right } = match;
  if (typeof op !== 'string' || left === undefined || right === undefined) return undefined;
  const value = valueText(left, right);
  // `in` tests flags: ct state established,related. A mask needs its `==`.
  const silent = op === 'in' || (op === '==' && single(left)?.[0] !== '&');
  return `${expressionText(left)} ${silent ? '' : `${op} `}${value}`;
}

/** A value beside the expression it is compared with, which decides how it is written. */
function valueText(left: Json, right: Json): string {
  if (typeof right === 'boolean') return right ? 'exists' : 'missing';
  if (isList(right)) return right.map((item) => valueText(left, item)).join(',');
  if (typeof right === 'number' && /"mark"/.test(JSON.stringify(left))) return hex(right);
  if (typeof right === 'string' && isQuoted(left) && !right.startsWith('@')) return quoted(right);
  const [name, body] = single(right) ?? [];
  if (name === 'set' && isList(body)) {
    return `{ ${body.map((item) => elementText(left, item)).join(', ')} }`;
  }
  if (name === 'range' && isList(body)) {
    return body.map((item) => valueText(left, item)).join('-');
  }
  return expressionText(right);
}

function elementText(left: Json, element: Json): string {
  if (isList(element)) {
    const [key, data] = element;
    return `${valueText(left, key ?? null)} : ${data === undefined ? '' : statementText(data)}`;
  }
  return valueText(left, element);
}

/** nft prints names of interfaces, days and times in quotes. */
function isQuoted(left: Json): boolean {
  const [name, body] = single(left) ?? [];
  if (name !== 'meta' || !isObject(body)) return false;
  return /^([io]if|[io]ifname|[io]brname|sdif|sdifname|day|hour|time)$/.test(
    textIn(body, 'key') ?? '',
  );
}

/** These need no `meta` before them. */
const bareMetaKeys = new Set(['iif', 'oif', 'iifname', 'oifname', 'iifgroup', 'oifgroup']);

const expressionWriters: Readonly<Record<string, Writer>> = {
  payload: (body) => {
    if (!isObject(body)) return undefined;
    const { base, protocol, field, offset, len } = body;
    if (typeof base === 'string') return `@${base},${atom(offset)},${atom(len)}`;
    return `${atom(protocol)} ${atom(field)}`;
  },
  meta: (body) => {
    const key = isObject(body) ? textIn(body, 'key') : undefined;
    if (key === undefined) return undefined;
    return bareMetaKeys.has(key) ? key : `meta ${key}`;
  },
  ct: (body) => {
    if (!isObject(body)) return undefined;
    const { dir, key } = body;
    return ['ct', dir, key].filter((word) => typeof word === 'string').join(' ');
  },
  fib: (body) => {
    if (!isObject(body)) return undefined;
    const { flags, result } = body;
    const names = isList(flags) ? flags : [flags ?? null];
    return `fib ${names.map((flag) => atom(flag)).join(' . ')} ${atom(result)}`;
  },
  rt: (body) => (isObject(body) ? `rt ${textIn(body, 'key') ?? ''}` : undefined),
  socket: (body) => (isObject(body) ? `socket ${textIn(body, 'key') ?? ''}` : undefined),
  // `frag more-fragments`, but `exthdr hbh` for the header as such.
  exthdr: (body) => {
    if (!isObject(body)) return undefined;
    const field = textIn(body, 'field');
    return field === undefined ? `exthdr ${atom(body.name)}` : `${atom(body.name)} ${field}`;
  },
  'tcp option': (body) =>
    isObject(body)
      ? ['tcp option', ...['name', 'field'].flatMap((name) => textIn(body, name) ?? [])].join(' ')
      : undefined,
  numgen: (body) => (isObject(body) ? `numgen ${atom(body.mode)} ${modulus(body)}` : undefined),
  jhash: (body) =>
    isObject(body) ? `jhash ${expressionText(body.expr ?? null)} ${modulus(body)}` : undefined,
  symhash: (body) => (isObject(body) ? `symhash ${modulus(body)}` : undefined),
  prefix: (body) =>
    isObject(body) ? `${expressionText(body.addr ?? null)}/${atom(body.len)}` : undefined,
  range: (body) => (isList(body) ? body.map((item) => expressionText(item)).join('-') : undefined),
  concat: (body) =>
    isList(body) ? body.map((item) => expressionText(item)).join(' . ') : undefined,
  set: (body) => (isList(body) ? valueText(null, { set: body }) : undefined),
  map: (body) =>
    isObject(body)
      ? `${expressionText(body.key ?? null)} map ${valueText(body.key ?? null, body.data ?? null)}`
      : undefined,
  // An element with a comment, a timeout or a counter of its own.
  elem: (body) => (isObject(body) ? expressionText(body.val ?? null) : undefined),
  ...Object.fromEntries(
    ['&', '|', '^', '<<', '>>'].map((operator): [string, Writer] => [
      operator,
      (body) =>
        isList(body) ? body.map((item) => operandText(item)).join(` ${operator} `) : undefined,
    ]),
  ),
};

export function expressionText(expression: Json): string {
  if (!isObject(expression)) {
    return isList(expression)
      ? expression.map((item) => expressionText(item)).join(',')
      : atom(expression);
  }
  const [name, body] = single(expression) ?? ['', null];
  return expressionWriters[name]?.(body) ?? JSON.stringify(expression);
}

/** `tcp flags & (fin | syn) == syn` */
function operandText(operand: Json): string {
  if (isList(operand)) return `(${operand.map((item) => expressionText(item)).join(' | ')})`;
  const nested = '&|^<<>>'.includes(single(operand)?.[0] ?? ' ');
  return nested ? `(${expressionText(operand)})` : expressionText(operand);
}

function rejectText(body: Json): string | undefined {
  if (body === null) return 'reject';
  if (!isObject(body)) return undefined;
  const type = textIn(body, 'type');
  const code = textIn(body, 'expr');
  if (type === undefined || (code === 'port-unreachable' && type.startsWith('icmp')))
    return 'reject';
  return ['reject with', type, ...(code === undefined ? [] : [code])].join(' ');
}

function limitText(limit: JsonObject): string {
  const burst = numberIn(limit, 'burst');
  const bytes = textIn(limit, 'rate_unit');
  // 5 packets is what nft takes, and leaves out, when nobody says.
  const burstText =
    burst === undefined || burst === 0 || (burst === 5 && bytes === undefined)
      ? ''
      : ` burst ${burst} ${textIn(limit, 'burst_unit') ?? 'packets'}`;
  const rate = `${number(limit, 'rate')}${bytes === undefined ? '' : ` ${bytes}`}`;
  return `limit rate ${over(limit)}${rate}/${textIn(limit, 'per') ?? 'second'}${burstText}`;
}

function logText(body: Json): string | undefined {
  if (body === null) return 'log';
  if (!isObject(body)) return undefined;
  const { prefix, level, group, snaplen, flags } = body;
  return [
    'log',
    ...(typeof prefix === 'string' ? [`prefix ${quoted(prefix)}`] : []),
    ...(typeof level === 'string' ? [`level ${level}`] : []),
    ...(typeof group === 'number' ? [`group ${group}`] : []),
    ...(typeof snaplen === 'number' ? [`snaplen ${snaplen}`] : []),
    ...(flags === undefined ? [] : [`flags ${expressionText(flags)}`]),
  ].join(' ');
}

function queueText(body: Json): string | undefined {
  if (body === null) return 'queue';
  if (!isObject(body)) return undefined;
  const { num, flags } = body;
  return [
    'queue',
    ...(flags === undefined ? [] : [`flags ${expressionText(flags)}`]),
    ...(num === undefined ? [] : [`to ${expressionText(num)}`]),
  ].join(' ');
}

function natText(name: string, body: Json): string | undefined {
  if (body === null) return name;
  if (!isObject(body)) return undefined;
  const { family, addr, port, flags } = body;
  const address = addr === undefined ? '' : expressionText(addr);
  const target = port === undefined ? address : `${address}:${expressionText(port)}`;
  return [
    name,
    ...(typeof family === 'string' ? [family] : []),
    ...(target === '' ? [] : [`to ${target}`]),
    ...(flags === undefined ? [] : [expressionText(flags)]),
  ].join(' ');
}

function verdictText(verdict: string, body: Json): string | undefined {
  const target = isObject(body) ? textIn(body, 'target') : undefined;
  return target === undefined ? undefined : `${verdict} ${target}`;
}

/** A limit or quota object, by name. */
function nameText(statement: string, body: Json): string | undefined {
  return typeof body === 'string' ? `${statement} name ${quoted(body)}` : undefined;
}

function over(object: JsonObject): string {
  return object.inv === true ? 'over ' : '';
}

function number(object: JsonObject, name: string): string {
  return String(numberIn(object, name) ?? '?');
}

function modulus(object: JsonObject): string {
  const offset = numberIn(object, 'offset') ?? 0;
  return `mod ${number(object, 'mod')}${offset === 0 ? '' : ` offset ${offset}`}`;
}

function atom(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

function quoted(text: string): string {
  return `"${text}"`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
