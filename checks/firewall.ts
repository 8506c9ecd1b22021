import { defineCheck } from '../src/model/check.ts';
import type { CommandOutput, Host } from '../src/model/host.ts';
import { ok, unread, type Reading, type Unread } from '../src/model/reading.ts';
import { parseIptablesSave } from './firewall/iptables.ts';
import {
  matchingOf,
  readMatchable,
  refusesUncounted,
  type Matchable,
  type RulesBefore,
} from './firewall/matching.ts';
import {
  nftFirewall,
  parseNftJson,
  type NftListing,
  type NftRule,
  type TableName,
} from './firewall/nftables.ts';
import { textIn } from './firewall/json.ts';
import { readRuleCounters, type RuleCounters } from './firewall/rule-counters.ts';
import {
  packetsOf,
  ruleKey,
  type Firewall,
  type FirewallPolicy,
  type FirewallRule,
  type PacketCounts,
  type Tables,
} from './firewall/ruleset.ts';

export type {
  Backend,
  Family,
  Firewall,
  FirewallPolicy,
  FirewallRule,
  Hook,
  LocalAddresses,
  Matching,
  NftSet,
} from './firewall/ruleset.ts';
export type {
  Arm,
  Atom,
  Element,
  Elements,
  Match,
  Prefix,
  Statement,
  Value,
  Way,
} from './firewall/statements.ts';

/** nft takes 5 s and 450 MB for 50,000 rules (nft 1.0.6). */
const listTimeoutMs = 20_000;

export default defineCheck<Firewall>({
  id: 'firewall',
  title: 'Firewall rules (nftables, iptables)',
  sources: [
    'nft --terse --json list ruleset',
    'nft --json list maps',
    'nft --json list sets',
    'ip -j route show table all type local',
    'nf_tables over netlink (NFT_MSG_GETRULE)',
    'iptables-save -c',
    'ip6tables-save -c',
    'iptables-legacy-save -c',
    'ip6tables-legacy-save -c',
  ],
  timeoutMs: 2 * listTimeoutMs,
  async read(host, { phase, first }) {
    if (phase === 'first') {
      const begun = listNfTables(host);
      // It is waited for later, and may fail before.
      begun.catch(() => undefined);
      const [counters, legacy] = await Promise.all([
        readRuleCounters(host),
        readLegacyTables(host),
      ]);
      if (counters.status !== 'ok') return firewallOf(await begun, legacy);
      const value = firewallOf(nothingListed, legacy);
      if (value.status !== 'ok') return value;
      const unlisted = {
        ...value.value,
        packets: joinedCounts(counters.value, value.value.packets),
      };
      listings.set(unlisted, { begun, counters: counters.value });
      return ok(unlisted, value.notes);
    }
    const legacy = readLegacyTables(host);
    const listing = first === undefined ? undefined : listings.get(first);
    // Without the counters in the first reading, they are of no use in the last.
    const counters = listing === undefined ? undefined : await readRuleCounters(host);
    if (first === undefined || listing === undefined || counters?.status !== 'ok') {
      const listed = await listNfTables(host);
      const value = firewallOf(listed, await legacy);
      if (value.status !== 'ok' || first === undefined) return value;
      const known = listing?.counters ?? new Set(first.rules.map(({ key }) => key));
      return withMatching(value, listed, { known, packets: first.packets }, value.value.packets);
    }
    let listed = await listing.begun;
    if (listed.status === 'ok' && hasNewRules(counters.value, listed.value)) {
      listed = await listNfTables(host);
    }
    const now =
      listed.status === 'ok' ? ok(counted(listed.value, counters.value), listed.notes) : listed;
    const before = { known: listing.counters, packets: first.packets };
    return withMatching(firewallOf(now, await legacy), now, before, counters.value);
  },
  // Of rules that are not listed we do not know what they do.
  *counters({ rules, policies, packets }) {
    const passing = new Set(
      [
        ...rules.filter(({ verdict }) => verdict !== 'drop' && verdict !== 'reject'),
        ...policies.filter(({ policy }) => policy !== 'drop'),
      ].map(({ key }) => key),
    );
    for (const entry of packets) if (!passing.has(entry[0])) yield entry;
  },
});

/**
 * The listing of the rules, for a first reading that was of counters only: it takes 5 s for 50,000 rules, and goes on
 * while the window passes.
 */
const listings = new WeakMap<Firewall, Listing>();

interface Listing {
  readonly begun: Promise<Reading<Listed>>;
  /** When the window began. */
  readonly counters: RuleCounters;
}

/** What nf_tables holds. */
interface Listed extends Tables, Pick<Firewall, 'unseen'> {
  /** Of the rules of each chain (`ip filter INPUT`), in their order. Absent: nft is not there to tell. */
  readonly handles?: Handles;
  /** What it takes to match packets against rules that do not count, where there are such rules. */
  readonly matchable?: Matchable;
}

type Handles = ReadonlyMap<string, readonly (number | undefined)[]>;

const nothing: Tables = { rules: [], policies: [] };
const nothingListed: Reading<Listed> = ok({ ...nothing, unseen: [] });

async function listNfTables(host: Host): Promise<Reading<Listed>> {
  const native = await listRuleset(host);
  const saves = await Promise.all([
    readIptablesNft(host, 'ip', native),
    readIptablesNft(host, 'ip6', native),
  ]);
  for (const reading of [native, ...saves]) {
    if (reading.status !== 'ok' && reading.status !== 'absent') return reading;
  }
  const save = joined(
    ...saves.flatMap((reading) => (reading.status === 'ok' ? reading.value : [])),
  );
  const notes = [native, ...saves].flatMap((reading) =>
    reading.status === 'ok' ? (reading.notes ?? []) : [],
  );
  if (native.status !== 'ok') {
    // The rules of iptables-nft we have; native ones there may be.
    return saves.every(({ status }) => status !== 'ok')
      ? native
      : ok({ ...save, unseen: [native.reason] }, notes);
  }
  const { value: listing } = native;
  const handles = handlesOf(listing.rules);
  const managed = managedByIptables(listing, save);
  const isManaged = ({ family, table }: FirewallRule | FirewallPolicy) =>
    managed.has(`${family} ${table}`);
  const ofIptables = {
    rules: save.rules.filter(isManaged),
    policies: save.policies.filter(isManaged),
  };
  const ofNft = nftFirewall(listing, managed);
  const listed = { ...joined(ofNft, withHandles(ofIptables, handles)), unseen: [], handles };
  if (!refusesUncounted(ofNft)) return ok(listed, notes);
  const listSets = () => runNft(host, ['nft', '--json', 'list', 'sets']);
  const matchable = await readMatchable(host, listing, listSets);
  return ok({ ...listed, matchable: matchable.value }, [...notes, ...matchable.notes]);
}

function withMatching(
  value: Reading<Firewall>,
  listed: Reading<Listed>,
  before: RulesBefore,
  packets: PacketCounts,
): Reading<Firewall> {
  if (value.status !== 'ok' || listed.status !== 'ok') return value;
  const { matchable } = listed.value;
  if (matchable === undefined) return value;
  const matching = matchingOf(matchable, before, packets);
  return { ...value, value: { ...value.value, matching } };
}

/** What has been counted by now, and where chains are. A rule that is gone since it was listed is left out. */
function counted(listed: Listed, counters: RuleCounters): Listed {
  const tables =
    listed.handles === undefined ? withHandles(listed, handlesByNetlink(counters)) : listed;
  const now = <Entry extends FirewallRule | FirewallPolicy>(entry: Entry): Entry[] => {
    if (entry.packets === null) return [entry];
    const counted = counters.get(entry.key);
    if (counted === undefined) return [];
    // Most rules met nothing since: a copy of each would be 10 MB for 50,000.
    return [counted === entry.packets ? entry : { ...entry, packets: counted }];
  };
  const bound = (chain: FirewallPolicy): FirewallPolicy => {
    const devices = counters.chains.get(`${chain.family} ${chain.table} ${chain.chain}`)?.devices;
    return devices === undefined ? chain : { ...chain, devices };
  };
  return {
    ...listed,
    rules: tables.rules.flatMap(now),
    policies: tables.policies.flatMap(now).map(bound),
  };
}

/** Rules came in since they were listed. */
function hasNewRules({ chains }: RuleCounters, { handles }: Listed): boolean {
  if (handles === undefined) return false;
  return [...chains].some(([chain, { rules }]) => {
    const known = new Set(handles.get(chain));
    return [...rules.keys()].some((handle) => !known.has(handle));
  });
}

type LegacyTables = readonly [ip: Reading<Tables>, ip6: Reading<Tables>];

function readLegacyTables(host: Host): Promise<LegacyTables> {
  return Promise.all([readLegacy(host, 'ip'), readLegacy(host, 'ip6')]);
}

function firewallOf(listed: Reading<Listed>, legacy: LegacyTables): Reading<Firewall> {
  const readings = [listed, ...legacy];
  for (const reading of readings) {
    if (reading.status !== 'ok' && reading.status !== 'absent') return reading;
  }
  const isAbsentOrEmpty = (reading: Reading<Tables>): boolean =>
    reading.status !== 'ok' || reading.value === nothing;
  if (listed.status !== 'ok' && legacy.every(isAbsentOrEmpty)) return listed;
  const tables = joined(
    ...readings.flatMap((reading) => (reading.status === 'ok' ? reading.value : [])),
  );
  const unseen = [
    ...(listed.status === 'ok' ? listed.value.unseen : [listed.reason]),
    ...legacy.flatMap((reading) => (reading.status === 'ok' ? [] : reading.reason)),
  ];
  const notes = readings.flatMap((reading) =>
    reading.status === 'ok' ? (reading.notes ?? []) : [],
  );
  return ok({ ...tables, packets: packetsOf(tables), unseen }, [...notes, ...unseen]);
}

/** Of things that have different keys. */
function joinedCounts(...parts: readonly PacketCounts[]): PacketCounts {
  return {
    get(key) {
      for (const counts of parts) {
        const packets = counts.get(key);
        if (packets !== undefined) return packets;
      }
      return undefined;
    },
    *[Symbol.iterator]() {
      for (const counts of parts) yield* counts;
    },
  };
}

function joined(...parts: readonly Tables[]): Tables {
  return {
    rules: parts.flatMap(({ rules }) => rules),
    policies: parts.flatMap(({ policies }) => policies),
  };
}

/** `--terse` leaves out the elements of sets: block lists have hundreds of thousands. */
async function listRuleset(host: Host): Promise<Reading<NftListing>> {
  let listed = await runNft(host, ['nft', '--terse', '--json', 'list', 'ruleset']);
  // nft before 0.9.3 does not know --terse.
  if (listed.status === 'malformed')
    listed = await runNft(host, ['nft', '--json', 'list', 'ruleset']);
  if (listed.status !== 'ok') return listed;
  const listing = listed.value;
  if (
    listing.verdictMaps.length === 0 ||
    listing.verdictMaps.some(({ elem }) => elem !== undefined)
  ) {
    return listed;
  }
  // Rules can jump and drop by way of verdict maps: these we must look into.
  const maps = await runNft(host, ['nft', '--json', 'list', 'maps']);
  return maps.status === 'ok'
    ? ok({ ...listing, verdictMaps: maps.value.verdictMaps.map((map) => ({ elem: [], ...map })) })
    : ok(listing, [`Verdict maps: ${maps.reason}`]);
}

async function runNft(
  host: Host,
  argv: readonly [string, ...string[]],
): Promise<Reading<NftListing>> {
  const output = await host.run(argv, { timeoutMs: listTimeoutMs });
  if (output.status !== 'ok') return output;
  const { stdout, stderr, exitCode } = output.value;
  if (exitCode !== 0) return failure(argv[0], output.value);
  const listing = await parseNftJson(stdout);
  if (listing !== undefined) return ok(listing);
  // Built without libjansson it prints text and complains.
  return unread('malformed', `${argv.join(' ')} printed no JSON. ${firstLine(stderr)}`);
}

/**
 * iptables-nft keeps its rules in nf_tables, so nft lists them too, but only iptables can say what its
 * own matches mean. Not asked when nft shows none of the tables it would use.
 */
async function readIptablesNft(
  host: Host,
  family: 'ip' | 'ip6',
  native: Reading<NftListing>,
): Promise<Reading<Tables>> {
  const isUsed =
    native.status !== 'ok' ||
    native.value.chains.some(
      (chain) =>
        chain.family === family &&
        /^(raw|mangle|nat|filter|security)$/.test(textIn(chain, 'table') ?? ''),
    );
  return isUsed ? readSave(host, 'iptables-nft', family) : ok(nothing);
}

/**
 * Tables to take from iptables-save. It prints a table that somebody filled by hand with nft just as
 * well, but as if uncounted rules had counted nothing: iptables-nft itself always adds a counter.
 */
function managedByIptables(listing: NftListing, save: Tables): ReadonlySet<TableName> {
  const managed = new Set<TableName>(
    save.policies.map(({ family, table }): TableName => `${family} ${table}`),
  );
  for (const { table, counts } of listing.rules) {
    if (table !== undefined && !counts) managed.delete(table);
  }
  return managed;
}

function handlesByNetlink({ chains }: RuleCounters): Handles {
  return new Map([...chains].map(([chain, { rules }]) => [chain, [...rules.keys()]]));
}

function handlesOf(rules: readonly NftRule[]): Handles {
  const handles = new Map<string, (number | undefined)[]>();
  for (const { chain, handle } of rules) {
    const ofChain = handles.get(chain);
    if (ofChain === undefined) handles.set(chain, [handle]);
    else ofChain.push(handle);
  }
  return handles;
}

/** Rules of iptables-nft with their handles: all who list a chain do it in its order. */
function withHandles({ rules, policies }: Tables, handles: Handles): Tables {
  return {
    rules: rules.map((rule) => {
      const chain = `${rule.family} ${rule.table} ${rule.chain}`;
      const handle = handles.get(chain)?.[rule.position - 1];
      return handle === undefined ? rule : { ...rule, handle, key: ruleKey(chain, handle) };
    }),
    policies,
  };
}

/**
 * The tables of ip_tables. iptables-legacy-save (like iptables-legacy -L) creates tables and loads
 * modules when asked for a table that is not there, so we look first, and ask for what exists.
 */
async function readLegacy(host: Host, family: 'ip' | 'ip6'): Promise<Reading<Tables>> {
  const names = await host.readFile(`/proc/net/${family}_tables_names`);
  if (names.status === 'absent' || (names.status === 'ok' && names.value.trim() === '')) {
    return ok(nothing);
  }
  if (names.status !== 'ok') return names;
  return readSave(host, 'iptables-legacy', family);
}

async function readSave(
  host: Host,
  backend: FirewallRule['backend'] & `iptables-${string}`,
  family: 'ip' | 'ip6',
): Promise<Reading<Tables>> {
  const plain = family === 'ip' ? 'iptables' : 'ip6tables';
  let tool = backend.replace('iptables', plain);
  let output = await host.run([`${tool}-save`, '-c'], { timeoutMs: listTimeoutMs });
  if (output.status === 'absent' && (await backendOf(host, plain)) === backend) {
    tool = plain;
    output = await host.run([`${tool}-save`, '-c'], { timeoutMs: listTimeoutMs });
  }
  if (output.status !== 'ok') return output;
  if (output.value.exitCode !== 0) return failure(`${tool}-save`, output.value);
  const { firewall, garbled } = parseIptablesSave(output.value.stdout, { backend, family, tool });
  const notes = garbled === 0 ? [] : [`${tool}-save: ${garbled} lines cannot be read.`];
  return ok(firewall, notes);
}

/** `iptables v1.8.9 (nf_tables)`; before 1.8 there was only the old one, and no parenthesis. */
async function backendOf(host: Host, tool: string) {
  const version = await host.run([tool, '-V']);
  if (version.status !== 'ok') return undefined;
  return version.value.stdout.includes('nf_tables') ? 'iptables-nft' : 'iptables-legacy';
}

function failure(tool: string, { stderr, exitCode }: CommandOutput): Unread {
  const detail = firstLine(stderr);
  return /not permitted|permission denied|must be root/i.test(detail)
    ? unread('denied', `${tool} needs root to read the firewall rules.`)
    : unread('malformed', `${tool} failed with exit code ${exitCode}. ${detail}`);
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0]?.slice(0, 200) ?? '';
}
