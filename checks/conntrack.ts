import { defineCheck } from '../src/model/check.ts';
import type { Host } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

const settings = '/proc/sys/net/netfilter';
const countFile = `${settings}/nf_conntrack_count`;
const limitFiles = [`${settings}/nf_conntrack_max`, `${settings}/nf_conntrack_buckets`];
const statFile = '/proc/net/stat/nf_conntrack';

/** Connection tracking of one network namespace. */
export interface Conntrack {
  /** Entries now, in this namespace. */
  readonly count: number;
  /** Most entries a namespace may have: one value for the machine, held against each namespace's own count. */
  readonly max?: number;
  /** Hash table size, shared by all namespaces. */
  readonly buckets?: number;
  /**
   * Sums over CPUs, named as `conntrack -S` does: found, invalid, insert, insert_failed, drop,
   * early_drop, error, search_restart, clash_resolve, chaintoolong. 32 bits per CPU in the kernel:
   * compare with `rise(…, 32)`. A name that is missing: this kernel does not count it.
   */
  readonly counters: ReadonlyMap<string, bigint>;
}

export default defineCheck<Conntrack>({
  id: 'conntrack',
  title: 'Connection tracking',
  sources: [countFile, ...limitFiles, statFile, 'conntrack -S'],
  counterBits: 32,
  async read(host) {
    const [countText, ...limits] = await host.readFiles([countFile, ...limitFiles]);
    if (countText?.status === 'absent') {
      return unread(
        'not-applicable',
        'Connection tracking is not in use: nf_conntrack is not loaded.',
      );
    }
    if (countText?.status !== 'ok') {
      return countText ?? unread('crashed', `${countFile}: no answer`);
    }
    const count = parseCount(countText);
    if (count === undefined) return unread('malformed', `${countFile} is not a number.`);
    // Both are values of the machine. Namespaces show them read-only; those of unprivileged
    // containers do not on older kernels (nf_conntrack_standalone_init_sysctl).
    const shown = limits.every((limit) => limit.status === 'ok');
    const [max, buckets] = (shown ? limits : await host.initial.readFiles(limitFiles)).map(
      parseCount,
    );
    const counters = await readCounters(host);
    const value = {
      count,
      ...(max !== undefined && { max }),
      ...(buckets !== undefined && { buckets }),
    };
    return counters.status === 'ok'
      ? ok({ ...value, counters: counters.value }, counters.notes)
      : ok({ ...value, counters: new Map() }, [`No counters: ${counters.reason}`]);
  },
  counters: ({ counters }) => counters,
});

type Counters = ReadonlyMap<string, bigint>;

/** The file is there only with CONFIG_NF_CONNTRACK_PROCFS; the tool asks over netlink and always can. */
async function readCounters(host: Host): Promise<Reading<Counters>> {
  const file = await host.readFile(statFile);
  if (file.status === 'ok') return parseStatFile(file.value);
  const tool = await host.run(['conntrack', '-S']);
  if (tool.status !== 'ok') {
    return unread(tool.status, `${file.reason} ${tool.reason}`);
  }
  return parseStatCommand(tool.value.stdout);
}

/** Columns of the file that carry a newer counter under an older name (ct_cpu_seq_show). */
const columnNames: Readonly<Record<string, string>> = {
  clashres: 'clash_resolve',
  chainlength: 'chaintoolong',
  icmp_error: 'error',
};

/** A line of names, then a line of hexadecimal values per CPU. */
export function parseStatFile(text: string): Reading<Counters> {
  const [header = '', ...rows] = text.split('\n').filter((line) => line.trim() !== '');
  const names = header.trim().split(/\s+/);
  if (!names.includes('drop')) return unread('malformed', `${statFile} has no header line.`);
  const counters = new Map<string, bigint>();
  let garbled = 0;
  for (const row of rows) {
    const values = row.trim().split(/\s+/);
    if (
      values.length !== names.length ||
      !values.every((value) => /^[0-9a-f]{1,16}$/i.test(value))
    ) {
      garbled++;
      continue;
    }
    for (const [index, name] of names.entries()) {
      // `entries` is the same level on each line, not a counter.
      if (name !== 'entries')
        add(counters, columnNames[name] ?? name, BigInt(`0x${values[index]}`));
    }
  }
  return summed(counters, garbled, statFile);
}

/** `cpu=0   found=0 invalid=3 …`, decimal, one line per CPU. */
export function parseStatCommand(text: string): Reading<Counters> {
  const counters = new Map<string, bigint>();
  let garbled = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const pairs = [...line.matchAll(/(\w+)=(\d{1,20})(?=\s|$)/g)];
    if (pairs.length < 2) garbled++;
    for (const [, name = '', value = ''] of pairs) {
      if (name !== 'cpu') add(counters, name, BigInt(value));
    }
  }
  return summed(counters, garbled, 'conntrack -S');
}

function summed(counters: Counters, garbled: number, source: string): Reading<Counters> {
  if (counters.size === 0) return unread('malformed', `${source} has no line that can be read.`);
  return ok(counters, garbled === 0 ? [] : [`${source}: lines that cannot be read: ${garbled}.`]);
}

function add(counters: Map<string, bigint>, name: string, value: bigint): void {
  counters.set(name, (counters.get(name) ?? 0n) + value);
}

function parseCount(reading: Reading<string>): number | undefined {
  if (reading.status !== 'ok' || !/^\d{1,15}$/.test(reading.value.trim())) return undefined;
  return Number(reading.value);
}
