import type { CommandOutput } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import {
  attributeAfter,
  attributeIn,
  attributesIn,
  isAttribute,
  lengthAt,
  numberIn,
  openNetlink,
  placeOf,
  textAttribute,
  textIn,
  textOf,
  type Netlink,
  type Span,
} from './netlink.ts';
import type { Within } from './visits.ts';

/**
 * What the rules of nf_tables counted, a chain to a line (checks/firewall/rule-counters.ts has the form).
 * nft needs 5 s to list 50,000 rules, of which reading them from the kernel takes 0.3 s.
 */
export async function readRuleCounters(within: Within): Promise<Reading<CommandOutput>> {
  const netlink = await openNetlink(within);
  if (netlink.status !== 'ok') return netlink;
  try {
    const lines = await linesFrom(netlink.value);
    return ok({
      stdout: lines.map((line) => JSON.stringify(line)).join('\n'),
      stderr: '',
      exitCode: 0,
    });
  } catch (error) {
    return unread('denied', `nf_tables: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    netlink.value.close();
  }
}

/** include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h */
const NF_TABLES = 10 << 8;
const GET = { chain: NF_TABLES | 4, rule: NF_TABLES | 7, object: NF_TABLES | 19 } as const;
/** struct nfgenmsg: family, version, resource. */
const GENERIC_BYTES = 4;
const CHAIN = { table: 1, name: 3, hook: 4, use: 6, counters: 8 } as const;
const HOOK_DEVICES = 4;
const DEVICE = { name: 1, prefix: 2 } as const;
const RULE = { table: 1, chain: 2, handle: 3, expressions: 4 } as const;
const OBJECT = { table: 1, name: 2, type: 3, data: 4 } as const;
const COUNTER_OBJECT = 1;
const EXPRESSION = { name: 1, data: 2 } as const;
const COUNTER_PACKETS = 2;
const COUNTER = Buffer.from('counter\0');
const OBJECT_REFERENCE = Buffer.from('objref\0');
const REFERENCE = { type: 1, name: 2 } as const;

const families: ReadonlyMap<number, string> = new Map([
  [1, 'inet'],
  [2, 'ip'],
  [3, 'arp'],
  [5, 'netdev'],
  [7, 'bridge'],
  [10, 'ip6'],
]);

/**
 * A dump of all rules goes through them from the start for each piece (__nf_tables_dump_rules, 6.18): up to so many
 * that is nothing. Beyond, each chain is asked for.
 */
const FEW_RULES = 5000;

type RuleCount = readonly [handle: number, counted: number | string | null];

interface ChainLine {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly policy: number | null;
  /** Absent: it is bound to none. */
  readonly devices?: readonly string[];
  readonly rules: RuleCount[];
}

interface CounterLine {
  readonly family: string;
  readonly table: string;
  readonly counter: string;
  readonly packets: number | null;
}

async function linesFrom(netlink: Netlink): Promise<readonly (ChainLine | CounterLine)[]> {
  const chains = new Map<string, ChainLine>();
  const requests: { readonly line: ChainLine; readonly body: Buffer }[] = [];
  let uses = 0;
  await netlink.dump(GET.chain, generic(0), (message) => {
    const chain = attributesOf(message);
    const [table, name] = [textIn(chain, CHAIN.table), textIn(chain, CHAIN.name)];
    const use = numberIn(chain, CHAIN.use) ?? 0;
    const devices = devicesIn(attributeIn(chain, CHAIN.hook));
    const line = {
      family: familyOf(message),
      table,
      chain: name,
      policy: packetsIn(attributeIn(chain, CHAIN.counters)),
      ...(devices.length > 0 && { devices }),
      rules: [],
    };
    chains.set(keyOf(message, table, name), line);
    uses += use;
    if (use > 0) {
      const names = [textAttribute(RULE.table, table), textAttribute(RULE.chain, name)];
      const family = message.data[message.start] ?? 0;
      requests.push({ line, body: Buffer.concat([generic(family), ...names]) });
    }
  });
  if (uses <= FEW_RULES) {
    await netlink.dump(GET.rule, generic(0), (message) => {
      const rule = attributesOf(message);
      const key = keyOf(message, textIn(rule, RULE.table), textIn(rule, RULE.chain));
      chains.get(key)?.rules.push(ruleIn(rule));
    });
  } else {
    for (const { line, body } of requests) {
      await netlink.dump(GET.rule, body, (message) => {
        line.rules.push(ruleIn(attributesOf(message)));
      });
    }
  }
  const counters: CounterLine[] = [];
  await netlink.dump(GET.object, generic(0), (message) => {
    const object = attributesOf(message);
    if (numberIn(object, OBJECT.type) !== COUNTER_OBJECT) return;
    counters.push({
      family: familyOf(message),
      table: textIn(object, OBJECT.table),
      counter: textIn(object, OBJECT.name),
      packets: packetsIn(attributeIn(object, OBJECT.data)),
    });
  });
  return [...chains.values(), ...counters];
}

function generic(family: number): Buffer {
  return Buffer.from([family, 0, 0, 0]);
}

function attributesOf({ data, start, end }: Span): Span {
  return { data, start: start + GENERIC_BYTES, end };
}

function familyOf({ data, start }: Span): string {
  return families.get(data[start] ?? 0) ?? '';
}

function keyOf(message: Span, table: string, chain: string): string {
  return `${familyOf(message)} ${table}\n${chain}`;
}

/** Of a chain at the hooks of devices, which nft 1.0.6 does not list in JSON: their names, or `eth*` for all that start so. */
function devicesIn(hook: Span | undefined): readonly string[] {
  const devices = hook === undefined ? undefined : attributeIn(hook, HOOK_DEVICES);
  return [...(devices === undefined ? [] : attributesIn(devices))].map((device) =>
    device.type === DEVICE.prefix ? `${textOf(device)}*` : textOf(device),
  );
}

/** Its handle, and what its last counter says or the name of the counter object that it uses last. */
function ruleIn(rule: Span): RuleCount {
  const { data } = rule;
  const handle = numberIn(rule, RULE.handle) ?? 0;
  const expressions = attributeIn(rule, RULE.expressions);
  if (expressions === undefined) return [handle, null];
  let counted: RuleCount[1] = null;
  const { start, end } = expressions;
  for (let at = start; isAttribute(data, at, end); at = attributeAfter(data, at)) {
    const expression = at + 4;
    const endOfExpression = at + lengthAt(data, at);
    const name = placeOf(EXPRESSION.name, data, expression, endOfExpression);
    if (name === -1) continue;
    const counts = isText(data, name, COUNTER);
    if (!counts && !isText(data, name, OBJECT_REFERENCE)) continue;
    const body = attributeIn({ data, start: expression, end: endOfExpression }, EXPRESSION.data);
    if (body !== undefined) counted = (counts ? packetsIn(body) : referenceIn(body)) ?? counted;
  }
  return [handle, counted];
}

/** Whether an attribute has that text. */
function isText(data: Buffer, at: number, text: Buffer): boolean {
  if (lengthAt(data, at) !== 4 + text.length) return false;
  for (let index = 0; index < text.length; index += 1) {
    if (data[at + 4 + index] !== text[index]) return false;
  }
  return true;
}

/** The name of a counter object. */
function referenceIn(reference: Span): string | null {
  return numberIn(reference, REFERENCE.type) === COUNTER_OBJECT
    ? textIn(reference, REFERENCE.name)
    : null;
}

function packetsIn(counter: Span | undefined): number | null {
  return counter === undefined ? null : (numberIn(counter, COUNTER_PACKETS) ?? null);
}
