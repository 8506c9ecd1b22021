import { defineCheck } from '../src/model/check.ts';
import type { View } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { parsePairs } from './snmp.ts';
import { parseSs, SS_TIMEOUT_MS } from './sockets/details.ts';
import type { SocketDetails } from './sockets/socket.ts';

/** TCP sockets that wait for connections, looked at only while something is refused. */
export interface Listeners {
  /** Of `watched`, in this namespace. */
  readonly counters: ReadonlyMap<string, bigint>;
  /** Absent: nothing was refused since the first reading, so nobody looked. */
  readonly sockets?: readonly Listener[];
}

export interface Listener {
  /** `0.0.0.0:80`, `[::]:80`; `*:80` takes IPv4 and IPv6. */
  readonly local: string;
  readonly port: number;
  /** Connections that wait for accept(). */
  readonly queued: number;
  /** At most so many wait, and one more: the lesser of what the program asked for and net.core.somaxconn. */
  readonly backlog: number;
  readonly inode: number;
  /** The first one, where several share the socket. Known in the last reading, to root. */
  readonly process?: SocketDetails['process'];
}

/** Connections that were refused: as names of the check snmp. */
const watched = [
  'TcpExt.ListenOverflows',
  'TcpExt.ListenDrops',
  'TcpExt.TCPReqQFullDrop',
  'TcpExt.TCPReqQFullDoCookies',
  'Tcp.OutRsts',
] as const;

const files = ['/proc/net/netstat', '/proc/net/snmp'] as const;

export default defineCheck<Listeners>({
  id: 'listeners',
  title: 'TCP sockets that listen',
  sources: [...files, 'ss -Hlnte', 'ss -Hlntpe'],
  timeoutMs: SS_TIMEOUT_MS + 1000,
  // A queue that overflows in bursts is empty most of the time: several looks find it full.
  sampleEveryMs: 500,

  async read(host, { phase, first }) {
    const counters = await readCounters(host);
    if (counters.status !== 'ok' || first === undefined) return counters;
    const moved = watched.some(
      (name) => counters.value.counters.get(name) !== first.counters.get(name),
    );
    if (!moved) return counters;
    // The owners mean a search of all of /proc: once is enough.
    const flags = phase === 'last' ? '-Hlntpe' : '-Hlnte';
    const output = await host.run(['ss', flags], { timeoutMs: SS_TIMEOUT_MS });
    if (output.status !== 'ok') return ok(counters.value, [output.reason]);
    const { stdout, exitCode } = output.value;
    if (exitCode !== 0) return ok(counters.value, [`ss failed with code ${exitCode}.`]);
    const { sockets, lost } = parseListeners(stdout);
    return ok(
      { ...counters.value, sockets },
      lost === 0 ? [] : [`ss printed ${lost} listening sockets that cannot be read.`],
    );
  },
});

async function readCounters(view: View): Promise<Reading<Listeners>> {
  const texts = await view.readFiles(files);
  const all = new Map<string, bigint>();
  for (const [index, text] of texts.entries()) {
    if (text.status === 'ok') parsePairs(text.value, files[index] ?? '', all);
  }
  const counters = new Map(
    watched.flatMap((name) => {
      const value = all.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
  return counters.size === 0
    ? unread('absent', 'No counter of refused TCP connections can be read.')
    : ok({ counters });
}

/** `LISTEN 0      128    0.0.0.0:22 0.0.0.0:* users:((…)) ino:1603 sk:2715 cgroup:/ <->` */
const LISTENER = /^(?:LISTEN +)?(\d{1,10}) +(\d{1,10}) +(\S+):(\d{1,5}) +\S+:\*(?= |$)/;

/** Output of `ss -Hlnte`, with `-p` or without. */
export function parseListeners(text: string): {
  readonly sockets: readonly Listener[];
  readonly lost: number;
} {
  const lines = text.split('\n').filter((line) => /^\S/.test(line));
  const sockets = lines.flatMap((line): Listener[] => {
    const [, queued, backlog, host = '', port] = LISTENER.exec(line) ?? [];
    if (port === undefined) return [];
    const [[inode, { process }] = [0, {} as SocketDetails]] = parseSs(line);
    return [
      {
        // Without the device it is bound to: `127.0.0.53%lo`.
        local: `${host.replace(/%[^\]]*/, '')}:${port}`,
        port: Number(port),
        queued: Number(queued),
        backlog: Number(backlog),
        inode,
        ...(process === undefined ? {} : { process }),
      },
    ];
  });
  return { sockets, lost: lines.length - sockets.length };
}
