import { defineCheck, type ReadContext } from '../src/model/check.ts';
import type { Host } from '../src/model/host.ts';
import { ok, unread } from '../src/model/reading.ts';
import { listByIp, textOf, type JsonObject } from './iproute-json.ts';
import { parseStatTable } from './stat-table.ts';

/** Tables of the whole machine, all namespaces together; the kernel shows them in the initial one only. */
const tables = ['arp_cache', 'ndisc_cache'] as const;
const tableFiles = tables.map((name) => `/proc/net/stat/${name}`);
const listCommand = ['ip', '-j', 'neigh', 'show', 'nud', 'failed', 'nud', 'incomplete'] as const;
const routeCommands = [
  ['ip', '-j', 'route', 'show', 'default'],
  ['ip', '-6', '-j', 'route', 'show', 'default'],
] as const;

/** More next hops than these are counted, not named. */
const NAMED_NEIGHBOURS = 20;

export type NeighbourTable = (typeof tables)[number];

export interface Neighbours {
  /** Entries of the machine now, those of all namespaces. */
  readonly entries: ReadonlyMap<NeighbourTable, number>;
  /** Of the machine since boot: `arp_cache.table_fulls`, `ndisc_cache.res_failed` … */
  readonly counters: ReadonlyMap<string, bigint>;
  /** Next hops of this namespace that do not answer. Absent: nobody looked, as nothing failed. */
  readonly silent?: SilentNeighbours;
}

export interface SilentNeighbours {
  readonly count: number;
  /** Some of them, gateways first. */
  readonly named: readonly SilentNeighbour[];
}

export interface SilentNeighbour {
  readonly address: string;
  readonly device: string;
  /** A default route leads through it. */
  readonly gateway: boolean;
}

export default defineCheck<Neighbours>({
  id: 'neighbours',
  title: 'Neighbours (ARP, neighbour discovery)',
  sources: [...tableFiles, listCommand.join(' '), 'ip -j route show default'],
  async read(host, context) {
    const texts = await host.initial.readFiles(tableFiles);
    const entries = new Map<NeighbourTable, number>();
    const counters = new Map<string, bigint>();
    for (const [index, table] of tables.entries()) {
      const text = texts[index];
      const sums = text?.status === 'ok' ? parseStatTable(text.value) : undefined;
      for (const [name, value] of sums ?? []) {
        if (name === 'entries') entries.set(table, Number(value));
        else counters.set(`${table}.${name}`, value);
      }
    }
    if (context.phase !== 'last' || !failedSince(context, counters))
      return ok({ entries, counters });
    const silent = await readSilent(host);
    return silent.status === 'ok'
      ? ok({ entries, counters, silent: silent.value }, silent.notes)
      : ok({ entries, counters }, [`Neighbours that do not answer: ${silent.reason}`]);
  },
  counters: ({ counters }) => counters,
});

const failures = ['res_failed', 'unresolved_discards', 'table_fulls'];

/** Nothing to list when no look-up failed on the whole machine. Where that cannot be read, one may have. */
function failedSince(
  { first }: ReadContext<Neighbours>,
  counters: ReadonlyMap<string, bigint>,
): boolean {
  if (counters.size === 0) return true;
  return tables
    .flatMap((table) => failures.map((name) => `${table}.${name}`))
    .some((key) => counters.get(key) !== first?.counters.get(key));
}

async function readSilent(host: Host) {
  const [list, ...routes] = await Promise.all(
    [listCommand, ...routeCommands].map((command) => listByIp(host, command)),
  );
  if (list?.status !== 'ok') return list ?? unread('crashed', 'no answer');
  const gateways = new Set(
    routes
      .flatMap((route) => (route.status === 'ok' ? route.value : []))
      .flatMap((route) => textOf(route, 'gateway') ?? []),
  );
  return ok(silentFromJson(list.value, gateways));
}

/** Entries of `ip -j neigh show nud failed nud incomplete`. */
export function silentFromJson(
  entries: readonly JsonObject[],
  gateways: ReadonlySet<string>,
): SilentNeighbours {
  const all = entries.flatMap((entry): SilentNeighbour[] => {
    const [address, device] = [textOf(entry, 'dst'), textOf(entry, 'dev')];
    if (address === undefined || device === undefined) return [];
    return [{ address, device, gateway: gateways.has(address) }];
  });
  const named = [...all]
    .sort((a, b) => Number(b.gateway) - Number(a.gateway))
    .slice(0, NAMED_NEIGHBOURS);
  return { count: all.length, named };
}
