import { defineCheck } from '../src/model/check.ts';
import type { Host } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { cardNames } from './card-names.ts';
import { lossTemplates, templateOf } from './nic-drivers.ts';

/** Network interfaces with a device behind them (hardware or a hypervisor's), as their drivers tell. */
export interface Nics {
  /** By name, as the kernel gives it: it may hold control characters. */
  readonly interfaces: ReadonlyMap<string, Nic>;
}

export interface Nic {
  /**
   * What the driver counts, by name without the blanks around it. A name that is printed several
   * times (vmxnet3 repeats its block for each queue) is there once, with the sum.
   * Absent: the driver has no statistics, or they could not be read (then the reading has a note).
   */
  readonly statistics?: ReadonlyMap<string, bigint>;
  /** Times the watchdog of the kernel found a transmit queue stuck; all queues. Absent: unknown. */
  readonly txTimeouts?: bigint;
  /** Read at the end of the window only: settings do not count. */
  readonly settings?: NicSettings;
}

export interface NicSettings {
  /** Kernel driver: `ixgbe`. Absent: it could not be read. */
  readonly driver?: string;
  /** Of the driver; most give the kernel release here. */
  readonly version?: string;
  /** Bus address: `0000:00:06.0`. */
  readonly bus?: string;
  /** Absent: the driver does not tell. */
  readonly ring?: Ring;
  /** Receive queues in use; each has a ring of its own. */
  readonly rxQueues?: number;
  readonly duplex?: 'full' | 'half';
  /** Absent while there is no link, and where a virtual card does not tell. */
  readonly speedMbps?: number;
}

/** Descriptors in the ring of each queue. A member is absent where ethtool prints `n/a`. */
export interface Ring {
  readonly rx?: number;
  readonly rxMax?: number;
  readonly tx?: number;
  readonly txMax?: number;
}

const directory = '/sys/class/net';
/** An answer takes a millisecond or two; firmware can be slow, and most drivers answer under one lock (rtnl). */
const interfacesAtOnce = 4;
const commandTimeoutMs = 2000;

export default defineCheck<Nics>({
  id: 'ethtool',
  title: 'Network cards: driver statistics and rings',
  sources: [
    'ethtool -S',
    'ethtool -g',
    'ethtool -i',
    `${directory}/*/device`,
    `${directory}/*/queues`,
    `${directory}/*/{speed,duplex}`,
  ],
  timeoutMs: 10_000,
  async read(host, { phase, interfaces: asked }) {
    const names = await namesWithDevice(host, asked);
    if (names.status !== 'ok') return names;

    const nics = new Map<string, Nic>();
    const notes: string[] = [];
    const waiting = names.value.values();
    // The workers share one iterator: each takes the next name.
    const worker = async (): Promise<Reading<undefined>> => {
      for (const name of waiting) {
        const statistics = await ethtool(host, '-S', name);
        if (statistics.status === 'absent') return statistics;
        const queues = await host.list(`${directory}/${name}/queues`);
        const queueNames = queues.status === 'ok' ? queues.value : [];
        const txTimeouts = await readTxTimeouts(host, name, queueNames);
        const settings = phase === 'last' ? await readSettings(host, name, queueNames) : undefined;
        if (statistics.status !== 'ok') notes.push(statistics.reason);
        nics.set(name, {
          ...(statistics.status === 'ok' && statistics.value !== ''
            ? { statistics: parseStatistics(statistics.value) }
            : {}),
          ...(txTimeouts === undefined ? {} : { txTimeouts }),
          ...(settings === undefined ? {} : { settings }),
        });
      }
      return ok(undefined);
    };
    const ends = await Promise.all(Array.from({ length: interfacesAtOnce }, worker));
    return ends.find((end) => end.status !== 'ok') ?? ok({ interfaces: nics }, notes);
  },
  // Drivers print gauges too (temperatures, queue lengths): only what is known to count losses counts.
  *counters({ interfaces }) {
    for (const [name, { statistics }] of interfaces) {
      for (const [template, sum] of sumByTemplate(statistics ?? new Map())) {
        if (lossTemplates.has(template)) yield [`${name}.${template}`, sum];
      }
    }
  },
});

/** Bridges, veths, VLANs and the like have no device: they cost no process. */
async function namesWithDevice(
  host: Host,
  asked: readonly string[],
): Promise<Reading<readonly string[]>> {
  const cards = await cardNames(host);
  if (cards.status !== 'ok') return cards;
  const names = cards.value.filter((name) => asked.length === 0 || asked.includes(name));
  const devices = await Promise.all(names.map((name) => host.list(`${directory}/${name}/device`)));
  return ok(names.filter((_, index) => devices[index]?.status === 'ok'));
}

/** What it printed; nothing when this driver (or a device that has just gone) does not answer. */
async function ethtool(
  host: Host,
  option: '-S' | '-g' | '-i',
  name: string,
): Promise<Reading<string>> {
  const run = await host.run(['ethtool', option, name], { timeoutMs: commandTimeoutMs });
  if (run.status === 'absent') return unread('absent', 'ethtool: not installed');
  if (run.status !== 'ok') return unread(run.status, `ethtool ${option} ${name}: ${run.reason}`);
  const { stdout, stderr, exitCode } = run.value;
  if (/not permitted|permission denied/i.test(stderr)) {
    return unread('denied', `ethtool ${option} ${name}: not permitted, root may`);
  }
  return ok(exitCode === 0 ? stdout : '');
}

/** trans_timeout of each queue (net/sched/sch_generic.c dev_watchdog, Linux 6.18). */
async function readTxTimeouts(
  host: Host,
  name: string,
  queues: readonly string[],
): Promise<bigint | undefined> {
  const files = queues
    .filter((queue) => queue.startsWith('tx-'))
    .map((queue) => `${directory}/${name}/queues/${queue}/tx_timeout`);
  const counts = (await host.readFiles(files)).flatMap((text) =>
    text.status === 'ok' && /^\d{1,20}\n?$/.test(text.value) ? [BigInt(text.value)] : [],
  );
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0n);
}

async function readSettings(
  host: Host,
  name: string,
  queues: readonly string[],
): Promise<NicSettings> {
  const [identity, rings, [speed, duplex]] = await Promise.all([
    ethtool(host, '-i', name),
    ethtool(host, '-g', name),
    host.readFiles([`${directory}/${name}/speed`, `${directory}/${name}/duplex`]),
  ]);
  const ring = rings.status === 'ok' ? parseRing(rings.value) : undefined;
  return {
    ...(identity.status === 'ok' ? parseIdentity(identity.value) : {}),
    ...(ring === undefined ? {} : { ring }),
    ...(queues.length === 0
      ? {}
      : { rxQueues: queues.filter((queue) => queue.startsWith('rx-')).length }),
    ...(speed?.status === 'ok' ? parseSpeed(speed.value) : {}),
    ...(duplex?.status === 'ok' ? parseDuplex(duplex.value) : {}),
  };
}

/** The kernel prints -1, or 2^32 - 1, where it does not know. */
function parseSpeed(text: string): Pick<NicSettings, 'speedMbps'> {
  return /^[1-9]\d{0,8}\n?$/.test(text) ? { speedMbps: Number(text) } : {};
}

function parseDuplex(text: string): Pick<NicSettings, 'duplex'> {
  const duplex = text.trim();
  return duplex === 'half' || duplex === 'full' ? { duplex } : {};
}

/**
 * Output of `ethtool -S`: a heading, then `name: value`. Names may hold blanks and colons
 * (`[0]: rx_discards` of bnxt_en), and some drivers pad them.
 */
export function parseStatistics(text: string): ReadonlyMap<string, bigint> {
  const statistics = new Map<string, bigint>();
  for (const line of text.split('\n')) {
    const colon = line.lastIndexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim();
    const value = line.slice(colon + 1).trim();
    if (name === '' || !/^\d{1,20}$/.test(value)) continue;
    statistics.set(name, (statistics.get(name) ?? 0n) + BigInt(value));
  }
  return statistics;
}

/** Adds up the queues: `rx_queue_0_drops` and `rx_queue_1_drops` become `rx_queue_N_drops`. */
export function sumByTemplate(
  statistics: ReadonlyMap<string, bigint>,
): ReadonlyMap<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const [name, value] of statistics) {
    const template = templateOf(name);
    sums.set(template, (sums.get(template) ?? 0n) + value);
  }
  return sums;
}

/** Output of `ethtool -i`. */
export function parseIdentity(text: string): Pick<NicSettings, 'driver' | 'version' | 'bus'> {
  const fields = fieldsOf(text);
  const [driver, version, bus] = ['driver', 'version', 'bus-info'].map((key) => fields.get(key));
  return {
    ...(driver === undefined ? {} : { driver }),
    ...(version === undefined ? {} : { version }),
    ...(bus === undefined ? {} : { bus }),
  };
}

/** Output of `ethtool -g`: the maximums, then the current values, under the same names. */
export function parseRing(text: string): Ring | undefined {
  const heading = 'Current hardware settings:';
  const split = text.indexOf(heading);
  if (split === -1) return undefined;
  const maximums = fieldsOf(text.slice(0, split));
  const current = fieldsOf(text.slice(split + heading.length));
  const [rx, rxMax] = [current, maximums].map((fields) => descriptors(fields.get('RX')));
  const [tx, txMax] = [current, maximums].map((fields) => descriptors(fields.get('TX')));
  return {
    ...(rx === undefined ? {} : { rx }),
    ...(rxMax === undefined ? {} : { rxMax }),
    ...(tx === undefined ? {} : { tx }),
    ...(txMax === undefined ? {} : { txMax }),
  };
}

function descriptors(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Lines `name: value`; those without a value are left out. */
function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).trim();
    if (colon !== -1 && value !== '') fields.set(line.slice(0, colon).trim(), value);
  }
  return fields;
}
