import type { Elements, Prefix, Statement } from './statements.ts';

/** What the packet filters of one network namespace hold: rules and chain policies, with their counters. */
export interface Firewall extends Tables {
  /**
   * What each counted rule or policy met, by its key: what to compare over the window. In the first reading
   * the rules themselves may be missing, when only their counters were read.
   */
  readonly packets: PacketCounts;
  /**
   * What may hold rules too but could not be read, a sentence each: nft is missing, say. Empty:
   * these are all rules of the namespace.
   */
  readonly unseen: readonly string[];
  /**
   * What it takes to match packets against rules that do not count. In the last reading, and only where there
   * is such a rule.
   */
  readonly matching?: Matching;
}

/** Packets by key. */
export interface PacketCounts extends Iterable<readonly [key: string, packets: bigint]> {
  get(key: string): bigint | undefined;
}

/** Keys of rules. */
export type RuleKeys = Pick<ReadonlySet<string>, 'has'>;

export interface Matching {
  /** Of each rule of nftables, by its key. */
  readonly statements: Statements;
  /** Keys of rules that were not there when the window began. */
  readonly added: RuleKeys;
  /** Keys of rules whose last counter stood still, wherever in the rule that is: no packet came as far. */
  readonly untouched: RuleKeys;
  /** Sets that rules name, by `family table name`. One that is missing could not be read. */
  readonly sets: ReadonlyMap<string, NftSet>;
  /** Absent: could not be read. */
  readonly addresses?: LocalAddresses;
}

export type Statements = Pick<ReadonlyMap<string, readonly Statement[]>, 'get'>;

export interface NftSet {
  readonly elements: Elements;
  /** Elements may have gone within the window: they have timeouts, or rules that put them in. */
  readonly changing: boolean;
}

/** Destinations that the routes of this namespace take for its own, in any table, and for everybody's in a subnet. */
export interface LocalAddresses {
  readonly local: readonly (string | Prefix)[];
  readonly broadcast: readonly (string | Prefix)[];
}

/** Rules and policies of one or more sources. */
export interface Tables {
  /** In the order of the listing; within a chain that is the order in which packets meet them. */
  readonly rules: readonly FirewallRule[];
  /** One per base chain, whatever its policy. */
  readonly policies: readonly FirewallPolicy[];
}

/**
 * Who evaluates it in the kernel: nf_tables with native expressions, nf_tables filled by iptables-nft,
 * or the old ip_tables/ip6_tables.
 */
export type Backend = 'nftables' | 'iptables-nft' | 'iptables-legacy';

export type Family = 'ip' | 'ip6' | 'inet' | 'bridge' | 'arp' | 'netdev';

export type Hook =
  'ingress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'egress';

interface FirewallEntry {
  /**
   * Identity over the two readings of a window, and the counter's name. nf_tables: the handle.
   * Where that is not known: the text (and a running number among equals), because positions shift when
   * somebody inserts a rule above.
   */
  readonly key: string;
  readonly backend: Backend;
  /** The program that lists and changes it: `nft`, `iptables`, `ip6tables-legacy` … */
  readonly tool: string;
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  /** As the administrator would see it: the nft rule without its counter's values, or the iptables-save line. */
  readonly text: string;
  /** Software that probably made it, by the names it uses: `Docker`, `fail2ban`. Null: nothing we know. */
  readonly owner: string | null;
  /**
   * Packets that met its verdict. Null: not counted (no counter, one that counts before the last
   * match, one shared with other rules, or a verdict map).
   */
  readonly packets: bigint | null;
}

export interface FirewallRule extends FirewallEntry {
  /** Hooks of the base chains that lead here, by jump and goto. Empty: no packet can reach it. */
  readonly hooks: readonly Hook[];
  /** nftables handle; null for iptables-legacy, or where nft could not be asked. */
  readonly handle: number | null;
  /** Counted from 1 within the chain, as `iptables -L --line-numbers` does. */
  readonly position: number;
  readonly comment: string | null;
  readonly verdict: Verdict;
}

export interface FirewallPolicy extends FirewallEntry {
  readonly hook: Hook;
  /**
   * Devices at whose hook it is (ingress, egress), `eth*` being all that start so. Absent: not at such a hook, or
   * netlink was not there to tell.
   */
  readonly devices?: readonly string[];
  /** Of the base chain; lower ones come first. Absent: of iptables. */
  readonly priority?: number;
  /** The chain translates addresses (type nat). Absent: it does not, or is one of iptables. */
  readonly translates?: true;
  readonly policy: 'accept' | 'drop';
}

/**
 * The worst a rule can do to a packet: a verdict map with a `drop` in it is `drop`. `none`: it counts,
 * logs, marks or translates, and the packet goes on.
 */
export type Verdict = 'drop' | 'reject' | 'queue' | 'accept' | 'jump' | 'return' | 'none';

/** Those that count. */
export function packetsOf({ rules, policies }: Tables): Map<string, bigint> {
  const counted = new Map<string, bigint>();
  for (const { key, packets } of [...rules, ...policies]) {
    if (packets !== null) counted.set(key, packets);
  }
  return counted;
}

/** How an entry of nf_tables is known, whoever listed it. @param chain `inet filter input` */
export function ruleKey(chain: string, handle: number): string {
  return `nftables ${chain} handle ${handle}`;
}

export function policyKey(chain: string): string {
  return `nftables ${chain} policy`;
}

/** Undefined: not of nf_tables. Without a handle: it is the policy of the chain. */
export function ruleOfKey(key: string): { chain: string; handle?: number } | undefined {
  if (!key.startsWith(OF_NFTABLES)) return undefined;
  const start = OF_NFTABLES.length;
  if (key.endsWith(POLICY)) return { chain: key.slice(start, -POLICY.length) };
  const end = key.lastIndexOf(HANDLE);
  return end === -1
    ? undefined
    : { chain: key.slice(start, end), handle: Number(key.slice(end + HANDLE.length)) };
}

const OF_NFTABLES = 'nftables ';
const HANDLE = ' handle ';
const POLICY = ' policy';
