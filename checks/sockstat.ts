import { defineCheck } from '../src/model/check.ts';
import type { View } from '../src/model/host.ts';
import { ok, unread } from '../src/model/reading.ts';

/** How many sockets there are, and how much memory their queues take. */
export interface Sockstat {
  /** Pages in queues of all TCP sockets of the machine: what tcp_mem limits. */
  readonly tcpPages?: number;
  /** The same of UDP, for udp_mem. */
  readonly udpPages?: number;
  /** Connections of the machine that no process holds, but that TCP has not ended yet (tcp_max_orphans). */
  readonly tcpOrphans?: number;
  /** Ended connections that this namespace still remembers (tcp_max_tw_buckets). */
  readonly tcpTimeWait?: number;
  /** TCP sockets of this namespace that listen or are connected. */
  readonly tcpInUse?: number;
  readonly ram?: Ram;
}

export interface Ram {
  readonly pages: number;
  readonly pageBytes: number;
}

const path = '/proc/net/sockstat';

export default defineCheck<Sockstat>({
  id: 'sockstat',
  title: 'Memory and number of sockets',
  sources: [path, '/proc/meminfo', '/proc/1/statm', '/proc/1/status'],
  // Levels, not counters: a peak between the ends would not be seen.
  sampleEveryMs: 250,
  async read(host, { phase }) {
    const text = await host.readFile(path);
    if (text.status !== 'ok') return text;
    const parsed = parseSockstat(text.value);
    if (Object.keys(parsed).length === 0) {
      return unread('malformed', `${path} has no line that can be read.`);
    }
    const ram = phase === 'last' ? await readRam(host) : undefined;
    return ok({ ...parsed, ...(ram === undefined ? {} : { ram }) });
  },
});

/** `TCP: inuse 5 orphan 0 tw 12 alloc 7 mem 2` and `UDP: inuse 2 mem 3` (sockstat_seq_show()). */
export function parseSockstat(text: string): Sockstat {
  const level = (protocol: string, name: string): number | undefined => {
    const line = new RegExp(`^${protocol}:(.*)$`, 'm').exec(text)?.[1] ?? '';
    const value = new RegExp(` ${name} (\\d{1,15})(?= |$)`).exec(line)?.[1];
    return value === undefined ? undefined : Number(value);
  };
  const levels = {
    tcpPages: level('TCP', 'mem'),
    udpPages: level('UDP', 'mem'),
    tcpOrphans: level('TCP', 'orphan'),
    tcpTimeWait: level('TCP', 'tw'),
    tcpInUse: level('TCP', 'inuse'),
  };
  return Object.fromEntries(Object.entries(levels).filter(([, value]) => value !== undefined));
}

/**
 * The kernel says nowhere in /proc how large a page is, but it prints the address space of a process in pages
 * (statm) and in kB (status). Undefined: init is hidden from us (hidepid), or its size changed in between.
 */
async function readRam(view: View): Promise<Ram | undefined> {
  const [meminfo, statm, status] = (
    await view.readFiles(['/proc/meminfo', '/proc/1/statm', '/proc/1/status'])
  ).map((reading) => (reading.status === 'ok' ? reading.value : ''));
  const totalKb = Number(/^MemTotal: +(\d{1,15}) kB/m.exec(meminfo ?? '')?.[1]);
  const sizePages = Number(/^(\d{1,15}) /.exec(statm ?? '')?.[1]);
  const sizeKb = Number(/^VmSize:\s+(\d{1,15}) kB/m.exec(status ?? '')?.[1]);
  const pageKb = sizeKb / sizePages;
  return [4, 8, 16, 64].includes(pageKb) && totalKb > 0
    ? { pages: Math.floor(totalKb / pageKb), pageBytes: pageKb * 1024 }
    : undefined;
}
