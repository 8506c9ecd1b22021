import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createDeflateRaw, inflateRawSync } from 'node:zlib';

import { isList, isObject, numberIn, single, textIn, type Json, type JsonObject } from './json.ts';
import { entriesOf, type Place } from './nft-entries.ts';
import { ruleText } from './nft-text.ts';
import { ownerOf } from './owner.ts';
import {
  policyKey,
  ruleKey,
  type Family,
  type Tables,
  type FirewallPolicy,
  type FirewallRule,
  type Hook,
  type Statements,
  type Verdict,
} from './ruleset.ts';
import { armsIn, statementsFor } from './statements.ts';

/** What `nft -j list ruleset` lists, before the parts are put together. */
export interface NftListing {
  readonly chains: readonly JsonObject[];
  readonly rules: readonly NftRule[];
  /** Objects `counter name "x"` points to. */
  readonly counters: readonly JsonObject[];
  /** Maps with verdicts. Without elements when listed with `--terse`. */
  readonly verdictMaps: readonly JsonObject[];
  /** Likewise. */
  readonly sets: readonly JsonObject[];
  /** What it was read from. */
  readonly json: string;
}

/** What is kept of a rule: its JSON takes twenty times the memory, and there may be 50,000. */
export interface NftRule {
  readonly table: TableName | undefined;
  /** `inet filter input` */
  readonly chain: string;
  readonly handle: number | undefined;
  readonly key: string | undefined;
  /** In the text of the listing. */
  readonly place: Place;
  readonly text: string;
  readonly comment: string | null;
  /** Statements that a packet may end with, or leave the chain by. */
  readonly endings: readonly Json[];
  readonly counted: Counted;
  /** It has a counter, of whichever packets. */
  readonly counts: boolean;
  /** Keys of the counter objects that it uses. */
  readonly counterObjects: readonly string[];
  /** It looks something up in a set that has a name. */
  readonly namesSet: boolean;
  /** Keys of the sets that it puts elements into, or takes them from. */
  readonly writtenSets: readonly string[];
}

/** Packets; or the key of the counter object that has them; null: nobody counts just those that meet the verdict. */
type Counted = bigint | string | null;

/** So many entries take a few milliseconds; then others have their turn: a capture has to be read meanwhile. */
const ENTRIES_PER_TURN = 500;

/** Undefined: not the JSON of nft. Entries of a foreign shape are left out. */
export async function parseNftJson(text: string): Promise<NftListing | undefined> {
  const found = new Map<string, JsonObject[]>();
  const rules: NftRule[] = [];
  try {
    let entries = 0;
    for (const place of entriesOf(text)) {
      const [kind, body] = objectAt(text, place);
      if (kind === 'rule') rules.push(ruleFrom(body, place));
      else {
        const ofKind = found.get(kind);
        if (ofKind === undefined) found.set(kind, [body]);
        else ofKind.push(body);
      }
      entries += 1;
      if (entries % ENTRIES_PER_TURN === 0) await nextTurn();
    }
  } catch {
    return undefined;
  }
  return {
    chains: found.get('chain') ?? [],
    rules,
    counters: found.get('counter') ?? [],
    verdictMaps: (found.get('map') ?? []).filter(({ map }) => map === 'verdict'),
    sets: found.get('set') ?? [],
    json: text,
  };
}

/** `{"chain": {…}}` is `chain` and what is in it. */
function objectAt(text: string, [start, end]: Place): readonly [kind: string, body: JsonObject] {
  const [kind = '', body] = single(JSON.parse(text.slice(start, end)) as Json) ?? [];
  return isObject(body) ? [kind, body] : ['', {}];
}

/**
 * What each rule does, by its key. It is looked up in the text when somebody asks, which is seldom: for 50,000 rules
 * it would take 100 MB, and the text 20 MB.
 */
export async function statementsByRule(listing: NftListing): Promise<Statements> {
  const arms = new Map(
    listing.verdictMaps.map((map) => [
      chainKey(map, textIn(map, 'name')),
      isList(map.elem) ? armsIn(map.elem) : undefined,
    ]),
  );
  const places = new Map(
    listing.rules.flatMap(({ key, place }) => (key === undefined ? [] : [[key, place]])),
  );
  const packed = await pack(listing);
  let json: string | undefined;
  return {
    get(key) {
      const place = places.get(key);
      if (place === undefined) return undefined;
      json ??= inflateRawSync(packed).toString();
      const [, rule] = objectAt(json, place);
      return statementsFor(isList(rule.expr) ? rule.expr : [], (map) =>
        arms.get(chainKey(rule, map)),
      );
    },
  };
}

/** Piece by piece: as a whole, the text would first be copied. No piece ends within a character. */
function pack({ json, rules }: NftListing): Promise<Buffer> {
  const ends = rules.flatMap(({ place: [, end] }, index) =>
    index % ENTRIES_PER_TURN === 0 ? end : [],
  );
  const pieces = [...ends, json.length].map((end, index) => json.slice(ends[index - 1] ?? 0, end));
  return buffer(Readable.from(pieces).pipe(createDeflateRaw({ level: 1 })));
}

/** `{ "set": { "op": "add", "elem": …, "set": "@name" } }` */
function setWrittenBy(statement: Json): string | undefined {
  const [name, body] = single(statement) ?? [];
  return name === 'set' && isObject(body) ? textIn(body, 'set')?.replace(/^@/, '') : undefined;
}

function ruleFrom(rule: JsonObject, place: Place): NftRule {
  const statements = isList(rule.expr) ? rule.expr : [];
  const chain = chainKey(rule, textIn(rule, 'chain'));
  const handle = numberIn(rule, 'handle');
  const comment = textIn(rule, 'comment') ?? null;
  const counters = statements.filter((statement) => single(statement)?.[0] === 'counter');
  return {
    table: tableOf(rule),
    chain,
    handle,
    key: handle === undefined ? undefined : ruleKey(chain, handle),
    place,
    text: ruleText(statements, comment),
    comment,
    endings: statements.filter((statement) => {
      const [name = ''] = single(statement) ?? [];
      return name === 'vmap' || name === 'xt' || verdicts[name] !== undefined;
    }),
    counted: countedBy(statements, rule),
    counts: counters.length > 0,
    counterObjects: counters.flatMap((counter) => {
      const [, name] = single(counter) ?? [];
      return typeof name === 'string' ? [chainKey(rule, name)] : [];
    }),
    namesSet: statements.some((statement) => {
      const [name, body] = single(statement) ?? [];
      return name === 'match' && isObject(body) && (textIn(body, 'right') ?? '').startsWith('@');
    }),
    writtenSets: statements.flatMap((statement) => {
      const set = setWrittenBy(statement);
      return set === undefined ? [] : [chainKey(rule, set)];
    }),
  };
}

/** `ip filter`: tables of one name exist once per family. */
export type TableName = `${Family} ${string}`;

export function tableOf(object: JsonObject): TableName | undefined {
  const family = textIn(object, 'family');
  const table = textIn(object, 'table');
  return isFamily(family) && table !== undefined ? `${family} ${table}` : undefined;
}

/** Rules and policies of the listing. @param without tables that another listing describes better. */
export function nftFirewall(listing: NftListing, without: ReadonlySet<TableName>): Tables {
  const chains = chainsOf(listing);
  const wanted = (table: TableName | undefined) => table !== undefined && !without.has(table);
  const countersOfOne = soleCounters(listing);
  const positions = new Map<string, number>();
  const rules: FirewallRule[] = [];
  for (const rule of listing.rules) {
    const { table, handle, key, text, comment, endings, counted } = rule;
    const chain = chains.get(rule.chain);
    if (chain === undefined || handle === undefined || key === undefined || !wanted(table))
      continue;
    const position = (positions.get(chain.key) ?? 0) + 1;
    positions.set(chain.key, position);
    // Not a spread: its members would be kept apart from the object, 4 MB more of 50,000 rules.
    rules.push({
      key,
      backend: 'nftables',
      tool: 'nft',
      family: chain.family,
      table: chain.table,
      chain: chain.name,
      owner: ownerOf({ table: chain.table, chain: chain.name, comment }),
      hooks: chain.hooks,
      handle,
      position,
      text,
      comment,
      verdict: worstVerdict(endings.map((statement) => chains.verdictOf(statement, chain))),
      packets: typeof counted === 'string' ? (countersOfOne.get(counted) ?? null) : counted,
    });
  }
  const policies = listing.chains.flatMap((object): FirewallPolicy[] => {
    const chain = chains.get(chainKey(object, textIn(object, 'name')));
    if (chain?.baseHook === undefined || !wanted(tableOf(object))) return [];
    const policy = textIn(object, 'policy') === 'drop' ? 'drop' : 'accept';
    const priority = numberIn(object, 'prio');
    return [
      {
        key: policyKey(chain.key),
        backend: 'nftables',
        tool: 'nft',
        family: chain.family,
        table: chain.table,
        chain: chain.name,
        owner: ownerOf({ table: chain.table, chain: chain.name }),
        hook: chain.baseHook,
        policy,
        ...(priority !== undefined && { priority }),
        ...(object.type === 'nat' && { translates: true }),
        text: `policy ${policy}`,
        // nf_tables counts packets in a base chain only for iptables-nft, and nft does not show it.
        packets: null,
      },
    ];
  });
  return { rules, policies };
}

interface Chain {
  /** `inet filter input` */
  readonly key: string;
  readonly family: Family;
  readonly table: string;
  readonly name: string;
  readonly baseHook: Hook | undefined;
  hooks: readonly Hook[];
}

/** Chains by key, each with the hooks whose packets can get there. */
function chainsOf(listing: NftListing) {
  const chains = new Map<string, Chain>();
  for (const object of listing.chains) {
    const family = textIn(object, 'family');
    const table = textIn(object, 'table');
    const name = textIn(object, 'name');
    if (!isFamily(family) || table === undefined || name === undefined) continue;
    const hook = textIn(object, 'hook');
    const baseHook = isHook(hook) ? hook : undefined;
    const key = chainKey(object, name);
    chains.set(key, { key, family, table, name, baseHook, hooks: [] });
  }

  const maps = new Map<string, readonly Json[]>();
  for (const map of listing.verdictMaps) {
    // An element is [key, verdict].
    const verdicts = isList(map.elem)
      ? map.elem.flatMap((element) => (isList(element) ? element.slice(1) : []))
      : [];
    maps.set(chainKey(map, textIn(map, 'name')), verdicts);
  }
  /** The verdicts a statement can end in; more than one for a verdict map. */
  const verdictsIn = (statement: Json, chain: Chain): readonly Json[] => {
    const [name, body] = single(statement) ?? [];
    if (name !== 'vmap' || !isObject(body)) return [statement];
    const { data } = body;
    if (typeof data === 'string') {
      return maps.get(`${chain.family} ${chain.table} ${data.replace(/^@/, '')}`) ?? [];
    }
    const [, elements] = single(data) ?? [];
    return isList(elements)
      ? elements.flatMap((element) => (isList(element) ? element.slice(1) : []))
      : [];
  };

  const targets = new Map<string, Set<string>>();
  for (const rule of listing.rules) {
    const chain = chains.get(rule.chain);
    if (chain === undefined) continue;
    for (const statement of rule.endings.flatMap((each) => verdictsIn(each, chain))) {
      const [name, body] = single(statement) ?? [];
      const target = isObject(body) ? textIn(body, 'target') : undefined;
      if ((name !== 'jump' && name !== 'goto') || target === undefined) continue;
      const from = targets.get(chain.key) ?? new Set();
      targets.set(chain.key, from.add(`${chain.family} ${chain.table} ${target}`));
    }
  }
  for (const base of chains.values()) {
    if (base.baseHook === undefined) continue;
    const reached = new Set([base.key]);
    // A Set goes on to what is added while it is walked.
    for (const key of reached) {
      const chain = chains.get(key);
      if (chain === undefined) continue;
      if (!chain.hooks.includes(base.baseHook)) chain.hooks = [...chain.hooks, base.baseHook];
      for (const target of targets.get(key) ?? []) reached.add(target);
    }
  }
  return {
    get: (key: string) => chains.get(key),
    verdictOf: (statement: Json, chain: Chain) =>
      worstVerdict(verdictsIn(statement, chain).map((verdict) => simpleVerdict(verdict))),
  };
}

const verdicts: Readonly<Record<string, Verdict>> = {
  drop: 'drop',
  reject: 'reject',
  queue: 'queue',
  accept: 'accept',
  jump: 'jump',
  goto: 'jump',
  return: 'return',
};

function simpleVerdict(statement: Json): Verdict {
  const [name = '', body] = single(statement) ?? [];
  // A target of iptables-nft: nft shows no more than its name.
  if (name === 'xt' && isObject(body)) {
    if (body.name === 'REJECT') return 'reject';
    return body.name === 'NFQUEUE' ? 'queue' : 'none';
  }
  return verdicts[name] ?? 'none';
}

const bySeverity: readonly Verdict[] = [
  'drop',
  'reject',
  'queue',
  'accept',
  'jump',
  'return',
  'none',
];

function worstVerdict(found: readonly Verdict[]): Verdict {
  return bySeverity.find((verdict) => found.includes(verdict)) ?? 'none';
}

/** Statements after which the next one is reached for certain. All others may end the rule. */
const neverEndsRule = new Set(['counter', 'log', 'notrack', 'continue']);

/**
 * Who counts exactly the packets that meet the rule's verdict: statements run from left to right, so
 * `counter ip saddr X drop` counts packets that are not dropped (nft_do_chain).
 */
function countedBy(statements: readonly Json[], rule: JsonObject): Counted {
  let counted: Counted = null;
  for (const statement of statements) {
    const [name = '', body] = single(statement) ?? [];
    if (name === 'counter') {
      if (typeof body === 'string') counted = chainKey(rule, body);
      else counted = isObject(body) ? bigintIn(body, 'packets') : null;
    } else if (!neverEndsRule.has(name) && (verdicts[name] === undefined || name === 'vmap')) {
      counted = null;
    }
  }
  return counted;
}

/** Above 2^53 JSON.parse rounds: that many packets take a fast NIC some years. */
function bigintIn(object: JsonObject, name: string): bigint | null {
  const value = numberIn(object, name);
  return value !== undefined && Number.isInteger(value) && value >= 0 ? BigInt(value) : null;
}

/** Counter objects that one single rule uses: those of several cannot be told apart. */
function soleCounters({ rules, counters }: NftListing): ReadonlyMap<string, bigint | null> {
  const uses = new Map<string, number>();
  for (const key of rules.flatMap(({ counterObjects }) => counterObjects)) {
    uses.set(key, (uses.get(key) ?? 0) + 1);
  }
  return new Map(
    counters
      .map(
        (counter) =>
          [chainKey(counter, textIn(counter, 'name')), bigintIn(counter, 'packets')] as const,
      )
      .filter(([key]) => uses.get(key) === 1),
  );
}

/** `inet filter input`: chains, maps and counters have names within their table. */
export function chainKey(object: JsonObject, name: string | undefined): string {
  return `${textIn(object, 'family') ?? ''} ${textIn(object, 'table') ?? ''} ${name ?? ''}`;
}

function isFamily(text: string | undefined): text is Family {
  return /^(ip|ip6|inet|bridge|arp|netdev)$/.test(text ?? '');
}

function isHook(text: string | undefined): text is Hook {
  return /^(ingress|prerouting|input|forward|output|postrouting|egress)$/.test(text ?? '');
}
