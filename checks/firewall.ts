import { defineCheck } from '../src/model/check.ts';
import type { CommandOutput, Host } from '../src/model/host.ts';
import { ok, unread, type Reading, type Unread } from '../src/model/reading.ts';
import { parseIptablesSave } from './firewall/iptables.ts';
import { readLocalAddresses } from './firewall/local-addresses.ts';
import {
  nftFirewall,
  parseNftJson,
  statementsByRule,
  statementsOf,
  tableOf,
  type NftListing,
  type TableName,
} from './firewall/nftables.ts';
import { single, textIn } from './firewall/json.ts';
import type {
  Firewall,
  FirewallPolicy,
  FirewallRule,
  Matching,
  Tables,
} from './firewall/ruleset.ts';
import { setsOf } from './firewall/sets.ts';

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

/** nft takes 6 s and 400 MiB for 50,000 rules (nft 1.0.6); the kernel hands out some 10,000 rules a second. */
const listTimeoutMs = 20_000;

export default defineCheck<Firewall>({
  id: 'firewall',
  title: 'Firewall rules (nftables, iptables)',
  sources: [
    'nft --terse --json list ruleset',
    'nft --json list maps',
    'nft --json list sets',
    'ip -j route show table all type local',
    'iptables-save -c',
    'ip6tables-save -c',
    'iptables-legacy-save -c',
    'ip6tables-legacy-save -c',
  ],
  timeoutMs: 2 * listTimeoutMs,
  async read(host, { phase }) {
    const [native, legacy4, legacy6] = await Promise.all([
      listRuleset(host),
      readLegacy(host, 'ip'),
      readLegacy(host, 'ip6'),
    ]);
    const [nft4, nft6] = await Promise.all([
      readIptablesNft(host, 'ip', native),
      readIptablesNft(host, 'ip6', native),
    ]);
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
    if (native.status !== 'ok') {
      // The rules of iptables-nft we have; native ones there may be.
      const unseen = [native.reason, ...ofLegacy.unseen];
      return ok({ ...joined(ofIptablesNft, ofLegacy), unseen }, [...notes, ...unseen]);
    }
    const managed = managedByIptables(native.value, ofIptablesNft);
    const nftables = nftFirewall(native.value, managed);
    const firewall = {
      ...joined(nftables, withHandles(ofIptablesNft, native.value, managed), ofLegacy),
      unseen: ofLegacy.unseen,
    };
    if (phase !== 'last' || !refusesUncounted(nftables)) {
      return ok(firewall, [...notes, ...ofLegacy.unseen]);
    }
    const matching = await readMatching(host, native.value);
    return ok({ ...firewall, matching: matching.value }, [
      ...notes,
      ...ofLegacy.unseen,
      ...matching.notes,
    ]);
  },
  *counters({ rules, policies }) {
    for (const rule of rules) {
      if (rule.packets !== null && (rule.verdict === 'drop' || rule.verdict === 'reject')) {
        yield [rule.key, rule.packets];
      }
    }
    for (const policy of policies) {
      if (policy.packets !== null && policy.policy === 'drop') yield [policy.key, policy.packets];
    }
  },
});

const nothing: Tables = { rules: [], policies: [] };

function joined(...parts: readonly Tables[]): Tables {
  return {
    rules: parts.flatMap(({ rules }) => rules),
    policies: parts.flatMap(({ policies }) => policies),
  };
}

/** What was read; `unseen` tells of that which is there but cannot be read. */
function tablesOf(...readings: readonly Reading<Tables>[]): Firewall {
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
    ? ok({ ...listing, verdictMaps: maps.value.verdictMaps.map((map) => ({ elem: [], ...map })) })
    : ok(listing, [`Verdict maps: ${maps.reason}`]);
}

function refusesUncounted({ rules, policies }: Tables): boolean {
  return (
    policies.some(({ policy }) => policy === 'drop') ||
    rules.some(
      ({ verdict, packets }) => packets === null && (verdict === 'drop' || verdict === 'reject'),
    )
  );
}

async function readMatching(
  host: Host,
  listing: NftListing,
): Promise<{ readonly value: Matching; readonly notes: readonly string[] }> {
  const statements = statementsByRule(listing);
  const [sets, addresses] = await Promise.all([
    readSets(host, listing, statements),
    readLocalAddresses(host),
  ]);
  return {
    value: {
      statements,
      sets: sets.status === 'ok' ? sets.value : new Map(),
      ...(addresses.status === 'ok' && { addresses: addresses.value }),
    },
    notes: [
      ...(sets.status === 'ok' ? [] : [`Sets: ${sets.reason}`]),
      ...(addresses.status === 'ok' ? [] : [`Local addresses: ${addresses.reason}`]),
    ],
  };
}

/** Their elements, where a rule names a set. */
async function readSets(
  host: Host,
  listing: NftListing,
  statements: Matching['statements'],
): Promise<Reading<Matching['sets']>> {
  const names = [...statements.values()].some((ofRule) =>
    ofRule.some((statement) => statement.kind === 'match' && 'set' in statement.right),
  );
  if (!names) return ok(new Map());
  if (listing.sets.some(({ elem }) => elem !== undefined)) return ok(setsOf(listing.sets, listing));
  const sets = await runNft(host, ['nft', '--json', 'list', 'sets']);
  return sets.status === 'ok' ? ok(setsOf(sets.value.sets, listing)) : sets;
}

async function runNft(
  host: Host,
  argv: readonly [string, ...string[]],
): Promise<Reading<NftListing>> {
  const output = await host.run(argv, { timeoutMs: listTimeoutMs });
  if (output.status !== 'ok') return output;
  const { stdout, stderr, exitCode } = output.value;
  if (exitCode !== 0) return failure(argv[0], output.value);
  const listing = parseNftJson(stdout);
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
  for (const rule of listing.rules) {
    const table = tableOf(rule);
    if (table === undefined || !managed.has(table)) continue;
    const counts = statementsOf(rule).some((statement) => single(statement)?.[0] === 'counter');
    if (!counts) managed.delete(table);
  }
  return managed;
}

/** Rules of the managed tables, with the handles nft knows them by: both list a chain in order. */
function withHandles(save: Tables, listing: NftListing, managed: ReadonlySet<TableName>): Tables {
  const handles = new Map<string, (number | null)[]>();
  for (const rule of listing.rules) {
    const key = `${tableOf(rule)} ${textIn(rule, 'chain')}`;
    const list = handles.get(key) ?? [];
    list.push(typeof rule.handle === 'number' ? rule.handle : null);
    handles.set(key, list);
  }
  const isManaged = ({ family, table }: FirewallRule | FirewallPolicy) =>
    managed.has(`${family} ${table}`);
  return {
    rules: save.rules.filter(isManaged).map((rule) => {
      const ofChain = handles.get(`${rule.family} ${rule.table} ${rule.chain}`);
      return { ...rule, handle: ofChain?.[rule.position - 1] ?? null };
    }),
    policies: save.policies.filter(isManaged),
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
