import { defineCheck } from '../src/model/check.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

const path = '/proc/net/softnet_stat';

/** The packet queues of the CPUs that are online. The same in every network namespace. */
export interface Softnet {
  readonly cpus: readonly SoftnetCpu[];
}

/** Counters have 32 bits in the kernel (struct softnet_data): compare them with `rise(…, 32)`. */
export interface SoftnetCpu {
  /** CPU number; on older kernels, which do not print it, the number of the row. */
  readonly cpu: number;
  /** Packets taken from the queues of this CPU, by NAPI and by the backlog. */
  readonly processed: bigint;
  /** Packets refused by enqueue_to_backlog: the queue was full, or the flow limit hit (`flowLimit`). */
  readonly dropped: bigint;
  /** Times net_rx_action ran out of budget with work left. Not packets, and not a loss. */
  readonly timeSqueeze: bigint;
  /** Times this CPU was woken to take over packets (RPS). Newer kernels. */
  readonly receivedRps?: bigint;
  /** Of `dropped`, those refused because one flow fills the queue. Newer kernels. */
  readonly flowLimit?: bigint;
  /** Packets in the backlog at this moment. Newer kernels. */
  readonly backlogLength?: number;
}

export default defineCheck<Softnet>({
  id: 'softnet',
  title: 'Packet queues of the CPUs',
  sources: [path],
  core: true,
  hostWide: true,
  counterBits: 32,
  async read(host) {
    const text = await host.readFile(path);
    return text.status === 'ok' ? parseSoftnet(text.value) : text;
  },
  *counters({ cpus }) {
    // Totals as well: after a fix the packets may come in on another CPU.
    yield* totals(cpus);
    for (const cpu of cpus) {
      const name = `cpu${cpu.cpu}`;
      yield [`${name}.processed`, cpu.processed];
      yield [`${name}.dropped`, cpu.dropped];
      yield [`${name}.time_squeeze`, cpu.timeSqueeze];
      if (cpu.receivedRps !== undefined) yield [`${name}.received_rps`, cpu.receivedRps];
      if (cpu.flowLimit !== undefined) yield [`${name}.flow_limit`, cpu.flowLimit];
    }
  },
});

function totals(cpus: readonly SoftnetCpu[]): [string, bigint][] {
  const sum = (values: readonly bigint[]) => values.reduce((total, value) => total + value, 0n);
  return [
    ['processed', sum(cpus.map((cpu) => cpu.processed))],
    ['dropped', sum(cpus.map((cpu) => cpu.dropped))],
    ['time_squeeze', sum(cpus.map((cpu) => cpu.timeSqueeze))],
  ];
}

/** One line per CPU, hexadecimal columns; more of them over the years (softnet_seq_show). */
export function parseSoftnet(text: string): Reading<Softnet> {
  const cpus: SoftnetCpu[] = [];
  let garbled = 0;
  let numbered = true;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  for (const [row, line] of lines.entries()) {
    const columns = parseColumns(line);
    const [processed, dropped, timeSqueeze] = columns;
    if (processed === undefined || dropped === undefined || timeSqueeze === undefined) {
      garbled++;
      continue;
    }
    const [receivedRps, flowLimit, backlogLength, cpu] = columns.slice(9);
    numbered &&= cpu !== undefined;
    cpus.push({
      cpu: cpu === undefined ? row : Number(cpu),
      processed,
      dropped,
      timeSqueeze,
      ...(receivedRps !== undefined && { receivedRps }),
      ...(flowLimit !== undefined && { flowLimit }),
      ...(backlogLength !== undefined && { backlogLength: Number(backlogLength) }),
    });
  }
  if (cpus.length === 0) return unread('malformed', `${path} has no line that can be read.`);
  const notes: string[] = [];
  if (garbled > 0) notes.push(`${path}: lines that cannot be read: ${garbled} of ${lines.length}.`);
  if (!numbered) {
    notes.push(
      `${path}: this kernel does not number the CPUs. Rows are counted instead, which is wrong after an offline CPU.`,
    );
  }
  return ok({ cpus }, notes);
}

function parseColumns(line: string): bigint[] {
  const columns = line.trim().split(/\s+/);
  const valid = columns.length >= 9 && columns.every((column) => /^[0-9a-f]{1,8}$/i.test(column));
  return valid ? columns.map((column) => BigInt(`0x${column}`)) : [];
}
