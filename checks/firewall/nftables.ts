import { isList, isObject, numberIn, single, textIn, type Json, type JsonObject } from './json.ts';
import { ruleText } from './nft-text.ts';
import { ownerOf } from './owner.ts';
import type { Family, Tables, FirewallPolicy, FirewallRule, Hook, Verdict } from './ruleset.ts';
import { armsIn, statementsFor, type Statement } from './statements.ts';

/** What `nft -j list ruleset` lists, before anything is made of it. */
export interface NftListing {
  readonly chains: readonly JsonObject[];
  readonly rules: readonly JsonObject[];
  /** Objects `counter name "x"` points to. */
  readonly counters: readonly JsonObject[];
  /** Maps with verdicts. Without elements when listed with `--terse`. */
  readonly verdictMaps: readonly JsonObject[];
  /** Likewise. */
  readonly sets: readonly JsonObject[];
}

/** Undefined: not the JSON of nft. Entries of a foreign shape are left out. */
export function parseNftJson(text: string): NftListing | undefined {
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
  const list = isObject(parsed) ? parsed.nftables : undefined;
  if (!isList(list)) return undefined;
  const found: Record<string, JsonObject[]> = {
    chain: [],
    rule: [],
    counter: [],
    map: [],
    set: [],
  };
  for (const entry of list) {
    const [kind = '', body] = single(entry) ?? [];
    if (isObject(body)) found[kind]?.push(body);
  }
  return {
    chains: found.chain ?? [],
    rules: found.rule ?? [],
    counters: found.counter ?? [],
    verdictMaps: (found.map ?? []).filter(({ map }) => map === 'verdict'),
    sets: found.set ?? [],
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
  const wanted = (object: JsonObject) => {
    const table = tableOf(object);
    return table !== undefined && !without.has(table);
  };
  const namedCounters = soleCounters(listing);
  const positions = new Map<string, number>();
  const rules: FirewallRule[] = [];
  for (const object of listing.rules.filter(wanted)) {
    const chain = chains.get(chainKey(object, textIn(object, 'chain')));
    const handle = numberIn(object, 'handle');
    if (chain === undefined || handle === undefined) continue;
    const position = (positions.get(chain.key) ?? 0) + 1;
    positions.set(chain.key, position);
    const statements = statementsOf(object);
    const comment = textIn(object, 'comment') ?? null;
    rules.push({
      key: ruleKey(object, handle),
      ...place(chain, comment),
      hooks: chain.hooks,
      handle,
      position,
      text: ruleText(statements, comment),
      comment,
      verdict: worstVerdict(statements.map((statement) => chains.verdictOf(statement, chain))),
      ...countOf(statements, (name) => namedCounters.get(chainKey(object, name))),
    });
  }
  const policies = listing.chains.filter(wanted).flatMap((object): FirewallPolicy[] => {
    const chain = chains.get(chainKey(object, textIn(object, 'name')));
    if (chain?.baseHook === undefined) return [];
    const policy = textIn(object, 'policy') === 'drop' ? 'drop' : 'accept';
    const priority = numberIn(object, 'prio');
    return [
      {
        key: `nftables ${chain.key} policy`,
        ...place(chain, null),
        hook: chain.baseHook,
        policy,
        ...(priority !== undefined && { priority }),
        ...(object.type === 'nat' && { translates: true }),
        text: `policy ${policy}`,
        // nf_tables counts packets in a base chain only for iptables-nft, and nft does not show it.
        packets: null,
        bytes: null,
      },
    ];
  });
  return { rules, policies };
}

function ruleKey(rule: JsonObject, handle: number): string {
  return `nftables ${chainKey(rule, textIn(rule, 'chain'))} handle ${handle}`;
}

/** What each rule does, by its key. */
export function statementsByRule(listing: NftListing): ReadonlyMap<string, readonly Statement[]> {
  const arms = new Map(
    listing.verdictMaps.map((map) => [
      chainKey(map, textIn(map, 'name')),
      isList(map.elem) ? armsIn(map.elem) : undefined,
    ]),
  );
  const statements = new Map<string, readonly Statement[]>();
  for (const rule of listing.rules) {
    const handle = numberIn(rule, 'handle');
    if (handle === undefined) continue;
    const armsOf = (map: string) => arms.get(chainKey(rule, map));
    statements.set(ruleKey(rule, handle), statementsFor(statementsOf(rule), armsOf));
  }
  return statements;
}

function place(chain: Chain, comment: string | null) {
  const { family, table, name } = chain;
  return {
    backend: 'nftables',
    tool: 'nft',
    family,
    table,
    chain: name,
    owner: ownerOf({ table, chain: name, comment }),
  } as const;
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
    const chain = chains.get(chainKey(rule, textIn(rule, 'chain')));
    if (chain === undefined) continue;
    for (const statement of statementsOf(rule).flatMap((each) => verdictsIn(each, chain))) {
      const [name, body] = single(statement) ?? [];
      const target = isObject(body) ? textIn(body, 'target') : undefined;
      if ((name !== 'jump' && name !== 'goto') || target === undefined) continue;
      const from = targets.get(chain.key) ?? new Set();
      targets.set(chain.key, from.add(chainKey(rule, target)));
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
const neverEndsRule = new Set(['log', 'notrack', 'continue']);

type Count = Pick<FirewallRule, 'packets' | 'bytes'> & { readonly reached: bigint | null };

const uncounted: Count = { packets: null, bytes: null, reached: null };

/**
 * The counter that counts exactly the packets that meet the rule's verdict: statements run from left
 * to right, so `counter ip saddr X drop` counts packets that are not dropped (nft_do_chain).
 */
function countOf(
  statements: readonly Json[],
  named: (name: string) => JsonObject | undefined,
): Count {
  let count = uncounted;
  for (const statement of statements) {
    const [name = '', body] = single(statement) ?? [];
    const object = typeof body === 'string' ? named(body) : body;
    if (name === 'counter' && isObject(object)) {
      const packets = bigintIn(object, 'packets');
      count = { packets, bytes: bigintIn(object, 'bytes'), reached: packets };
    } else if (!neverEndsRule.has(name) && (verdicts[name] === undefined || name === 'vmap')) {
      count = { ...uncounted, reached: count.reached };
    }
  }
  return count;
}

/** Above 2^53 JSON.parse rounds: that many packets take a fast NIC some years. */
function bigintIn(object: JsonObject, name: string): bigint | null {
  const value = numberIn(object, name);
  return value !== undefined && Number.isInteger(value) && value >= 0 ? BigInt(value) : null;
}

/** Counter objects that one single rule uses: those of several cannot be told apart. */
function soleCounters(listing: NftListing): ReadonlyMap<string, JsonObject> {
  const uses = new Map<string, number>();
  for (const rule of listing.rules) {
    for (const statement of statementsOf(rule)) {
      const [name, body] = single(statement) ?? [];
      if (name !== 'counter' || typeof body !== 'string') continue;
      const key = chainKey(rule, body);
      uses.set(key, (uses.get(key) ?? 0) + 1);
    }
  }
  return new Map(
    listing.counters
      .map((counter) => [chainKey(counter, textIn(counter, 'name')), counter] as const)
      .filter(([key]) => uses.get(key) === 1),
  );
}

export function statementsOf(rule: JsonObject): readonly Json[] {
  return isList(rule.expr) ? rule.expr : [];
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
