import { defineCheck } from '../src/model/check.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

const file = '/proc/net/netfilter/nfnetlink_queue';

/** Queues to programs that decide on packets (NFQUEUE), of one namespace. Empty: no program listens. */
export interface NfQueues {
  readonly queues: readonly NfQueue[];
}

export interface NfQueue {
  readonly number: number;
  /** Netlink port of the program, which usually is its process id. */
  readonly port: number;
  /** Packets that wait for a verdict now. */
  readonly waiting: number;
  /** Dropped because the queue was full. 32 bits. */
  readonly queueDropped: bigint;
  /** Dropped because the netlink socket of the program was full. 32 bits. */
  readonly userDropped: bigint;
  /** Number of the last packet. 32 bits. */
  readonly sequence: bigint;
}

export default defineCheck<NfQueues>({
  id: 'nfqueue',
  title: 'Queues to firewall programs',
  sources: [file],
  counterBits: 32,
  async read(host) {
    const text = await host.readFile(file);
    if (text.status === 'ok') return parseNfQueues(text.value);
    if (text.status !== 'absent') return text;
    return unread(
      'not-applicable',
      'No program decides on packets: nfnetlink_queue is not loaded.',
    );
  },
  *counters({ queues }) {
    for (const { number, queueDropped, userDropped, sequence } of queues) {
      yield [`queue${number}.queue_dropped`, queueDropped];
      yield [`queue${number}.user_dropped`, userDropped];
      yield [`queue${number}.packets`, sequence];
    }
  },
});

/** Columns (seq_show in net/netfilter/nfnetlink_queue.c): number port total mode range dropped user-dropped id 1. */
export function parseNfQueues(text: string): Reading<NfQueues> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const queues = lines.flatMap((line): NfQueue[] => {
    const columns = line.trim().split(/\s+/);
    if (columns.length < 8 || !columns.every((column) => /^\d{1,10}$/.test(column))) return [];
    const [number, port, waiting, , , queueDropped, userDropped, sequence] = columns.map(BigInt);
    return [
      {
        number: Number(number),
        port: Number(port),
        waiting: Number(waiting),
        queueDropped: queueDropped ?? 0n,
        userDropped: userDropped ?? 0n,
        sequence: sequence ?? 0n,
      },
    ];
  });
  const garbled = lines.length - queues.length;
  if (queues.length === 0 && garbled > 0) {
    return unread('malformed', `${file} has no line that can be read.`);
  }
  return ok({ queues }, garbled === 0 ? [] : [`${file}: lines that cannot be read: ${garbled}.`]);
}
