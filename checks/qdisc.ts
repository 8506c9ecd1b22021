import { defineCheck } from '../src/model/check.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { counterOf, objectOf, parseIprouteJson, textOf, type JsonObject } from './iproute-json.ts';
import { hasClasses, readClasses, type TcClass } from './qdisc/classes.ts';
import { readFilters, readTcxPrograms, type TcFilter, type TcxProgram } from './qdisc/filters.ts';

const command = ['tc', '-s', '-j', 'qdisc', 'show'] as const;

/** Queueing disciplines of one namespace. */
export interface Qdiscs {
  readonly qdiscs: readonly Qdisc[];
  /** Filters at the hooks of those devices whose hooks dropped packets since the first reading. */
  readonly filters?: ReadonlyMap<string, readonly TcFilter[]>;
  /** BPF programs at the same hooks, of which nothing counts what they drop. Known in the last reading. */
  readonly tcx?: readonly TcxProgram[];
  /** Of devices whose line is divided into classes. */
  readonly classes?: ReadonlyMap<string, readonly TcClass[]>;
}

export interface Qdisc {
  readonly device: string;
  /** `fq_codel`, `htb`, `noqueue`, `clsact` … */
  readonly kind: string;
  /** `8001:`; `0:` for one the kernel made itself. */
  readonly handle: string;
  /** Class it hangs on: `1:10`, `:1` (queue of a multi-queue device), `ffff:fff1` (ingress). Absent: root. */
  readonly parent?: string;
  readonly bytes: bigint;
  readonly packets: bigint;
  /** Packets. The drops of a child are counted by its parents as well: add up roots only. */
  readonly dropped: bigint;
  /** For shapers: times a packet had to wait; for policers: packets over the rate. */
  readonly overlimits: bigint;
  readonly requeues: bigint;
  /** Bytes waiting now. */
  readonly backlogBytes: bigint;
  /** Packets waiting now. */
  readonly queueLength: bigint;
  /** Further numbers of this kind: `drop_overlimit`, `ecn_mark` (fq_codel), `flows_plimit` (fq), `early` (red) … */
  readonly details: ReadonlyMap<string, bigint>;
  /** Settings as tc prints them: `limit`, `rate`, `burst` … */
  readonly options: JsonObject;
}

const commonStatistics = new Set([
  'bytes',
  'packets',
  'drops',
  'overlimits',
  'requeues',
  'backlog',
  'qlen',
  'refcnt',
]);

export default defineCheck<Qdiscs>({
  id: 'qdisc',
  title: 'Queueing disciplines',
  sources: [command.join(' '), 'tc -s class show', 'bpf(2)'],
  timeoutMs: 10_000,
  async read(host, { first }) {
    const run = await host.run(command);
    if (run.status !== 'ok') return run;
    const { stdout, exitCode } = run.value;
    if (exitCode !== 0 && stdout.trim() === '') {
      return unread(
        'absent',
        `tc -s -j qdisc failed (exit code ${exitCode}): iproute2 before 4.16 cannot print JSON, and some kernels have no qdiscs.`,
      );
    }
    const parsed = parseQdiscs(stdout);
    if (parsed.status !== 'ok') return parsed;
    const { qdiscs } = parsed.value;
    const [classes, filters, tcx] = await Promise.all([
      ofDevices(qdiscs.filter(hasClasses), (device) => readClasses(host, device)),
      ofDevices(droppers(first, parsed.value), (device) => readFilters(host, device)),
      first === undefined ? [] : readTcxPrograms(host),
    ]);
    return ok(
      {
        qdiscs,
        ...(classes.size > 0 && { classes }),
        ...(filters.size > 0 && { filters }),
        ...(tcx.length > 0 && { tcx }),
      },
      parsed.notes,
    );
  },
  *counters({ qdiscs }) {
    for (const qdisc of qdiscs) {
      const name = `${qdisc.device}.${qdisc.parent ?? 'root'}`;
      yield [`${name}.packets`, qdisc.packets];
      yield [`${name}.dropped`, qdisc.dropped];
      yield [`${name}.overlimits`, qdisc.overlimits];
      yield [`${name}.requeues`, qdisc.requeues];
    }
  },
});

/** The pseudo qdiscs that filters before and after all queues hang on. */
export function isFilterHook({ kind }: Qdisc): boolean {
  return kind === 'clsact' || kind === 'ingress';
}

/** Hooks whose filters dropped packets since the first reading. */
function droppers(first: Qdiscs | undefined, last: Qdiscs): readonly Qdisc[] {
  if (first === undefined) return [];
  const before = new Map(
    first.qdiscs.filter(isFilterHook).map(({ device, dropped }) => [device, dropped]),
  );
  return last.qdiscs.filter(
    (qdisc) => isFilterHook(qdisc) && qdisc.dropped > (before.get(qdisc.device) ?? 0n),
  );
}

/** More devices than these are not asked for their filters, or classes. */
const DEVICES_ASKED = 8;

async function ofDevices<What>(
  qdiscs: readonly Qdisc[],
  read: (device: string) => Promise<What>,
): Promise<ReadonlyMap<string, What>> {
  const devices = [...new Set(qdiscs.map(({ device }) => device))].slice(0, DEVICES_ASKED);
  return new Map(
    await Promise.all(devices.map(async (device) => [device, await read(device)] as const)),
  );
}

/** Output of `tc -s -j qdisc show`. */
export function parseQdiscs(text: string): Reading<Qdiscs> {
  const list = parseIprouteJson(text, 'tc -s -j qdisc');
  if (list.status !== 'ok') return list;
  const qdiscs = list.value.map(qdiscFromJson).filter((qdisc) => qdisc !== undefined);
  const skipped = list.value.length - qdiscs.length;
  if (qdiscs.length === 0 && skipped > 0) {
    return unread('malformed', 'tc -s -j qdisc printed no qdisc with statistics.');
  }
  return ok(
    { qdiscs },
    skipped === 0 ? [] : [`tc -s -j qdisc: entries that cannot be read: ${skipped}.`],
  );
}

function qdiscFromJson(object: JsonObject): Qdisc | undefined {
  const device = textOf(object, 'dev');
  const kind = textOf(object, 'kind');
  const dropped = counterOf(object, 'drops');
  if (device === undefined || kind === undefined || dropped === undefined) return undefined;
  const parent = textOf(object, 'parent');
  const count = (name: string) => counterOf(object, name) ?? 0n;
  const details = new Map<string, bigint>();
  for (const name of Object.keys(object)) {
    const value = typeof object[name] === 'number' ? counterOf(object, name) : undefined;
    if (value !== undefined && !commonStatistics.has(name)) details.set(name, value);
  }
  return {
    device,
    kind,
    handle: textOf(object, 'handle') ?? '0:',
    ...(parent !== undefined && { parent }),
    bytes: count('bytes'),
    packets: count('packets'),
    dropped,
    overlimits: count('overlimits'),
    requeues: count('requeues'),
    backlogBytes: count('backlog'),
    queueLength: count('qlen'),
    details,
    options: objectOf(object, 'options'),
  };
}
