import { setTimeout as sleep } from 'node:timers/promises';

import { defineCheck } from '../src/model/check.ts';
import type { CommandOutput, Host } from '../src/model/host.ts';
import { ok, unread, type Reading, type Unread } from '../src/model/reading.ts';
import { parseIptablesSave } from './firewall/iptables.ts';
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
  type Tables,
} from './firewall/ruleset.ts';

export type {
  Backend,
  Family,
  Firewall,
  FirewallPolicy,
  FirewallRule,
  Hook,
} from './firewall/ruleset.ts';

/** nft takes 5 s and 450 MB for 50,000 rules (nft 1.0.6). */
const listTimeoutMs = 20_000;

export default defineCheck<Firewall>({
  id: 'firewall',
  title: 'Firewall rules (nftables, iptables)',
  sources: [
    'nft --terse --json list ruleset',
    'nf_tables over netlink (NFT_MSG_GETRULE)',
    'iptables-save -c',
    'ip6tables-save -c',
    'iptables-legacy-save -c',
    'ip6tables-legacy-save -c',
  ],
  timeoutMs: 2 * listTimeoutMs,
  // The first one starts the listing; the others do nothing.
  sampleEveryMs: 250,
  async read(host, { phase, first }) {
    const listing = first === undefined ? undefined : listings.get(first);
    if (phase === 'sample') {
      // On most hosts it is done at once; a long one must not hold up the samples of other checks.
      if (listing !== undefined) await Promise.race([listing(), sleep(LISTING_WAIT_MS)]);
      return unread('not-applicable', 'The rules are compared over the whole window.');
    }
    if (phase === 'last' && listing === undefined) {
      return firewallOf(await listNfTables(host), await readLegacyTables(host));
    }
    const [counters, legacy] = await Promise.all([readRuleCounters(host), readLegacyTables(host)]);
    if (counters.status !== 'ok') return firewallOf(await listNfTables(host), legacy);
    if (listing !== undefined) {
      const listed = await listing();
      const tables = isComplete(listed, counters.value) ? listed : await listNfTables(host);
      return firewallOf(tables, legacy, counters.value);
    }
    const { packets } = counters.value;
    const value = firewallOfLegacy(legacy);
    if (value.status !== 'ok') return value;
    const counted = { ...value.value, packets: new Map([...value.value.packets, ...packets]) };
    let listed: Promise<NfTables> | undefined;
    listings.set(counted, () => (listed ??= listNfTables(host)));
    return ok(counted, value.notes);
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
 * Lists the rules once, for a first reading that was of counters only: that takes 5 s for 50,000 rules, and is
 * done while the window passes.
 */
const listings = new WeakMap<Firewall, () => Promise<NfTables>>();

const LISTING_WAIT_MS = 100;

/** What lists the rules of nf_tables. */
interface NfTables {
  readonly native: Reading<NftListing>;
  readonly nft4: Reading<Tables>;
  readonly nft6: Reading<Tables>;
}

async function listNfTables(host: Host): Promise<NfTables> {
  const native = await listRuleset(host);
  const [nft4, nft6] = await Promise.all([
    readIptablesNft(host, 'ip', native),
    readIptablesNft(host, 'ip6', native),
  ]);
  return { native, nft4, nft6 };
}

type LegacyTables = readonly [ip: Reading<Tables>, ip6: Reading<Tables>];

function readLegacyTables(host: Host): Promise<LegacyTables> {
  return Promise.all([readLegacy(host, 'ip'), readLegacy(host, 'ip6')]);
}

function firewallOfLegacy([legacy4, legacy6]: LegacyTables): Reading<Firewall> {
  return firewallOf({ native: ok(emptyListing), nft4: ok(nothing), nft6: ok(nothing) }, [
    legacy4,
    legacy6,
  ]);
}

/** @param counters newer ones than those of the listing */
function firewallOf(
  { native, nft4, nft6 }: NfTables,
  [legacy4, legacy6]: LegacyTables,
  counters?: RuleCounters,
): Reading<Firewall> {
  const readings = [native, nft4, nft6, legacy4, legacy6];
  for (const reading of readings) {
    if (reading.status !== 'ok' && reading.status !== 'absent') return reading;
  }
  if (native.status !== 'ok' && readings.every(isAbsentOrEmpty)) return native;

  const ofIptablesNft = tablesOf(nft4, nft6);
  const ofLegacy = tablesOf(legacy4, legacy6);
  const notes = readings.flatMap((reading) =>
    reading.status === 'ok' ? (reading.notes ?? []) : [],
  );
  const firewallFrom = (tables: Tables, unseen: readonly string[]): Reading<Firewall> => {
    const all = joined(counters === undefined ? tables : counted(tables, counters), ofLegacy);
    return ok({ ...all, packets: packetsOf(all), unseen }, [...notes, ...unseen]);
  };
  if (native.status !== 'ok') {
    // The rules of iptables-nft we have; native ones there may be.
    return firewallFrom(withHandles(ofIptablesNft, counters?.handles ?? new Map()), [
      native.reason,
      ...ofLegacy.unseen,
    ]);
  }
  const managed = managedByIptables(native.value, ofIptablesNft);
  const isManaged = ({ family, table }: FirewallRule | FirewallPolicy) =>
    managed.has(`${family} ${table}`);
  const ofManaged = {
    rules: ofIptablesNft.rules.filter(isManaged),
    policies: ofIptablesNft.policies.filter(isManaged),
  };
  return firewallFrom(
    joined(
      nftFirewall(native.value, managed),
      withHandles(ofManaged, handlesOf(native.value.rules)),
    ),
    ofLegacy.unseen,
  );
}

/** Rules and policies with what they have counted by now. One that is gone since it was listed is left out. */
function counted({ rules, policies }: Tables, { packets }: RuleCounters): Tables {
  const now = <Entry extends FirewallRule | FirewallPolicy>(entry: Entry): Entry[] => {
    if (entry.packets === null) return [entry];
    const counted = packets.get(entry.key);
    return counted === undefined ? [] : [{ ...entry, packets: counted }];
  };
  return { rules: rules.flatMap(now), policies: policies.flatMap(now) };
}

/** No rule came in since it was listed. */
function isComplete({ native }: NfTables, { handles }: RuleCounters): boolean {
  if (native.status !== 'ok') return true;
  const listed = handlesOf(native.value.rules);
  return [...handles].every(([chain, now]) => {
    const known = new Set(listed.get(chain));
    return now.every((handle) => known.has(handle));
  });
}

const nothing: Tables = { rules: [], policies: [] };
const emptyListing: NftListing = { chains: [], rules: [], counters: [], verdictMaps: [] };

function joined(...parts: readonly Tables[]): Tables {
  return {
    rules: parts.flatMap(({ rules }) => rules),
    policies: parts.flatMap(({ policies }) => policies),
  };
}

/** What was read; `unseen` tells of that which is there but cannot be read. */
function tablesOf(...readings: readonly Reading<Tables>[]): Tables & Pick<Firewall, 'unseen'> {
  return {
    ...joined(...readings.flatMap((reading) => (reading.status === 'ok' ? [reading.value] : []))),
    unseen: readings.flatMap((reading) => (reading.status === 'ok' ? [] : [reading.reason])),
  };
}

function isAbsentOrEmpty(reading: Reading<NftListing | Tables>): boolean {
  return reading.status !== 'ok' || reading.value === nothing;
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
    ? ok({ ...listing, verdictMaps: maps.value.verdictMaps })
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

/** Handles of the rules of each chain (`ip filter INPUT`), in their order. */
type Handles = ReadonlyMap<string, readonly (number | undefined)[]>;

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
