import { ownerOf } from './owner.ts';
import {
  policyKey,
  type Tables,
  type FirewallPolicy,
  type FirewallRule,
  type Hook,
  type Verdict,
} from './ruleset.ts';

export interface SaveSource {
  readonly backend: 'iptables-nft' | 'iptables-legacy';
  readonly family: 'ip' | 'ip6';
  /** The program that changes these rules: `iptables-legacy`. */
  readonly tool: string;
}

/** The built-in chains; all others are reached by jump or goto only. */
const builtinHooks: Readonly<Record<string, Hook>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
  POSTROUTING: 'postrouting',
};

/** `*filter`, `:INPUT DROP [12:3456]`, `[12:3456] -A INPUT -s 10.0.0.1/32 -j DROP`. */
const tableLine = /^\*(\S+)$/;
const chainLine = /^:(\S+) (\S+)(?: \[(\d{1,20}):\d{1,20}\])?$/;
const ruleLine = /^(?:\[(\d{1,20}):\d{1,20}\] )?(-A (\S+)(?: .*)?)$/;

/**
 * Output of `iptables-save -c` and its siblings. Lines that cannot be read are counted, not fatal.
 * Tables that iptables-nft calls incompatible are left out: nft lists those.
 */
export function parseIptablesSave(
  text: string,
  source: SaveSource,
): { readonly firewall: Tables; readonly garbled: number } {
  const { backend, tool, family } = source;
  const foreign = new Set<string>();
  const rules: (FirewallRule & { hooks: readonly Hook[] })[] = [];
  const policies: FirewallPolicy[] = [];
  const positions = new Map<string, number>();
  const equals = new Map<string, number>();
  const userChains = new Set<string>();
  /** Chain to the chains it jumps to, by `table chain`. */
  const targets = new Map<string, Set<string>>();
  let table = '';
  let garbled = 0;

  for (const line of text.split('\n')) {
    // Nearly all lines are rules.
    const rule = ruleLine.exec(line);
    const start = rule === null ? tableLine.exec(line) : null;
    const chain = rule === null ? chainLine.exec(line) : null;
    if (start !== null) {
      [, table = ''] = start;
    } else if (chain !== null) {
      const [, name = '', policy, packets] = chain;
      const hook = builtinHooks[name];
      if (policy === '-') userChains.add(`${table} ${name}`);
      if (hook === undefined || (policy !== 'DROP' && policy !== 'ACCEPT')) continue;
      policies.push({
        key:
          source.backend === 'iptables-nft'
            ? policyKey(`${source.family} ${table} ${name}`)
            : `${source.backend} ${source.family} ${table} ${name} policy`,
        ...source,
        table,
        chain: name,
        owner: ownerOf({ table, chain: name }),
        hook,
        policy: policy === 'DROP' ? 'drop' : 'accept',
        text: `-P ${name} ${policy}`,
        packets: counter(packets),
      });
    } else if (rule !== null) {
      const [, packets, ruleText = '', name = ''] = rule;
      const chainKey = `${table} ${name}`;
      const position = (positions.get(chainKey) ?? 0) + 1;
      positions.set(chainKey, position);
      const key = `${source.backend} ${source.family} ${table} ${ruleText}`;
      const equal = (equals.get(key) ?? 0) + 1;
      equals.set(key, equal);
      const { comment, target } = readOptions(ruleText);
      const targetKey = `${table} ${target}`;
      if (userChains.has(targetKey)) {
        targets.set(chainKey, (targets.get(chainKey) ?? new Set()).add(targetKey));
      }
      rules.push({
        key: equal === 1 ? key : `${key} #${equal}`,
        backend,
        tool,
        family,
        table,
        chain: name,
        owner: ownerOf({ table, chain: name, comment }),
        // Known when all chains are.
        hooks: [],
        handle: null,
        position,
        text: ruleText,
        comment,
        verdict: userChains.has(targetKey) ? 'jump' : (verdicts[target ?? ''] ?? 'none'),
        packets: counter(packets),
      });
    } else if (line.startsWith('#')) {
      // "# Table `mangle' is incompatible, use 'nft' tool." (iptables 1.8)
      const name = /^# Table `(.+)' .*incompatible/.exec(line)?.[1];
      if (name !== undefined) foreign.add(name);
    } else if (line !== '' && line !== 'COMMIT') {
      garbled++;
    }
  }

  const hooks = hooksOf(targets);
  for (const rule of rules) {
    rule.hooks = hooks.get(`${rule.table} ${rule.chain}`) ?? builtin(rule.chain);
  }
  const own = ({ table }: { readonly table: string }) => !foreign.has(table);
  return {
    firewall: {
      rules: rules.filter((rule) => own(rule)),
      policies: policies.filter((policy) => own(policy)),
    },
    garbled,
  };
}

function builtin(chain: string): readonly Hook[] {
  const hook = builtinHooks[chain];
  return hook === undefined ? [] : [hook];
}

/** Hooks by `table chain`, following jumps from the built-in chains. */
function hooksOf(targets: ReadonlyMap<string, ReadonlySet<string>>): Map<string, readonly Hook[]> {
  const hooks = new Map<string, readonly Hook[]>();
  for (const base of targets.keys()) {
    const hook = builtinHooks[base.slice(base.indexOf(' ') + 1)];
    if (hook === undefined) continue;
    const reached = new Set([base]);
    // A Set goes on to what is added while it is walked.
    for (const key of reached) {
      const known = hooks.get(key) ?? [];
      if (!known.includes(hook)) hooks.set(key, [...known, hook]);
      for (const target of targets.get(key) ?? []) reached.add(target);
    }
  }
  return hooks;
}

const verdicts: Readonly<Record<string, Verdict>> = {
  DROP: 'drop',
  REJECT: 'reject',
  ACCEPT: 'accept',
  RETURN: 'return',
  QUEUE: 'queue',
  NFQUEUE: 'queue',
};

/** Options with free text behind them, which may look like another option. */
const freeText = new Set(['--comment', '--log-prefix', '--nflog-prefix', '--string']);

function readOptions(rule: string): {
  readonly comment: string | null;
  readonly target: string | null;
} {
  let comment: string | null = null;
  let target: string | null = null;
  const words = wordsOf(rule);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const next = words[index + 1] ?? null;
    if (word === '--comment') comment = next;
    if (word === '-j' || word === '-g') target ??= next;
    if (freeText.has(word)) index++;
  }
  return { comment, target };
}

/** Words with spaces are in quotes, with a backslash before inner quotes (xtables_save_string). */
function wordsOf(rule: string): readonly string[] {
  // Most rules have none, and to split them is faster.
  if (!rule.includes('"')) return rule.split(/\s+/);
  return Array.from(rule.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g), ([word, quoted]) =>
    quoted === undefined ? word : quoted.replaceAll(/\\(.)/g, '$1'),
  );
}

function counter(digits: string | undefined): bigint | null {
  return digits === undefined ? null : BigInt(digits);
}
