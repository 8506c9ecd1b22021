import { defineCheck } from '../src/model/check.ts';
import type { View } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { portOf, readSocketDetails, SS_TIMEOUT_MS } from './sockets/details.ts';
import { readUdpByDiag } from './sockets/sock-diag.ts';
import {
  keyOf,
  type DatagramSocket,
  type SocketDetails,
  type SocketTable,
} from './sockets/socket.ts';

export type { DatagramSocket, SocketTable };

export interface SocketsValue {
  /** By `DatagramSocket.key`. A dual-stack socket is here once, as `udp6`. */
  readonly udp: ReadonlyMap<string, DatagramSocket>;
  readonly raw: ReadonlyMap<string, DatagramSocket>;
}

const TABLES: readonly SocketTable[] = ['udp', 'udp6', 'raw', 'raw6'];

/**
 * Up to so many, reading /proc/net/udp takes 10 ms (6.18, measured). Beyond, sock_diag is asked, and
 * only at the ends of the window.
 */
const FEW_SOCKETS = 2000;

export default defineCheck<SocketsValue>({
  id: 'sockets',
  title: 'UDP and raw sockets',
  sources: [
    '/proc/net/udp',
    '/proc/net/udp6',
    '/proc/net/raw',
    '/proc/net/raw6',
    'ss -uanme',
    'ss -uwanmpe',
  ],
  timeoutMs: 2 * SS_TIMEOUT_MS,
  // A reader that keeps up empties its queue within milliseconds, one that does not leaves it full
  // for as long as packets come: four looks a second tell them apart.
  sampleEveryMs: 250,

  async read(host, { phase, first }) {
    const known = first === undefined ? 0 : first.udp.size + first.raw.size;
    if (phase === 'sample' && (known === 0 || known > FEW_SOCKETS)) {
      return unread('not-applicable', `No queues are watched between, of ${known} sockets.`);
    }
    const table = await readTables(host, first);
    if (phase !== 'last' || first === undefined || table.status !== 'ok') return table;

    const { value, notes = [] } = table;
    const losing = [...losingSince(first.udp, value.udp), ...losingSince(first.raw, value.raw)];
    if (losing.length === 0) return table;
    const details = await readSocketDetails(
      host,
      'uw',
      losing.map(({ local }) => portOf(local)),
    );
    if (details.status !== 'ok') {
      return ok(value, [
        ...notes,
        `Which process owns a socket, and how large its buffer is, is not known: ${details.reason}`,
      ]);
    }
    return ok(
      {
        udp: withDetails(value.udp, details.value),
        raw: withDetails(value.raw, details.value),
      },
      notes,
    );
  },
});

async function readTables(
  view: View,
  first: SocketsValue | undefined,
): Promise<Reading<SocketsValue>> {
  const udp = new Map<string, DatagramSocket>();
  const raw = new Map<string, DatagramSocket>();
  const notes: string[] = [];
  const byDiag = (await hasManySockets(view)) ? await readUdpByDiag(view, first?.udp) : undefined;
  if (byDiag?.status === 'ok') for (const socket of byDiag.value) add(udp, socket);

  const wanted = byDiag?.status === 'ok' ? TABLES.filter((name) => name.startsWith('raw')) : TABLES;
  const files = await view.readFiles(wanted.map((protocol) => `/proc/net/${protocol}`));
  for (const [index, protocol] of wanted.entries()) {
    const file = files[index] ?? unread('absent', `/proc/net/${protocol} was not read.`);
    const table = file.status === 'ok' ? parseSocketTable(protocol, file.value) : file;
    if (table.status === 'ok') {
      const sockets = protocol.startsWith('udp') ? udp : raw;
      for (const socket of table.value) add(sockets, socket);
      notes.push(...(table.notes ?? []));
    } else if (protocol === 'udp') {
      return table;
    } else if (table.status !== 'absent') {
      // IPv6 may be switched off: its tables are then absent, which is no trouble.
      notes.push(table.reason);
    }
  }
  return ok({ udp, raw }, notes);
}

/** `UDP: inuse 10000 mem 116` and `UDP6: inuse 3`, of this namespace. */
async function hasManySockets(view: View): Promise<boolean> {
  const files = await view.readFiles(['/proc/net/sockstat', '/proc/net/sockstat6']);
  const counts = files.map((file) =>
    file.status === 'ok' ? Number(/^UDP6?: inuse (\d+)/m.exec(file.value)?.[1] ?? 0) : 0,
  );
  return counts.reduce((sum, count) => sum + count, 0) > FEW_SOCKETS;
}

/** One of /proc/net/udp, udp6, raw, raw6 (udp4_format_sock(), __ip6_dgram_sock_seq_show()). */
export function parseSocketTable(
  protocol: SocketTable,
  text: string,
): Reading<readonly DatagramSocket[]> {
  const [header = '', ...lines] = text.split('\n');
  if (!/^\s*sl\s+local_address/.test(header)) {
    return unread('malformed', `/proc/net/${protocol} does not begin with its usual heading.`);
  }
  const filled = lines.filter((line) => line !== '');
  const sockets = filled.flatMap((line) => parseSocketLine(protocol, line) ?? []);
  const lost = filled.length - sockets.length;
  return ok(sockets, lost === 0 ? [] : [`${lost} lines of /proc/net/${protocol} make no sense.`]);
}

/**
 * `sl: local rem st tx_queue:rx_queue tr:tm retrnsmt uid timeout inode ref pointer drops`. One
 * expression for the whole line, because this runs 10,000 times where there are 10,000 sockets.
 */
const SOCKET_LINE =
  /^ *\d+: ([\dA-F]{8}|[\dA-F]{32}):([\dA-F]{4}) ([\dA-F]{8}|[\dA-F]{32}):([\dA-F]{4}) [\dA-F]{2} [\dA-F]{8}:([\dA-F]{8}) \S+ \S+ +(\d{1,10}) +\d+ +(\d{1,15}) +\d+ +\S+ +(\d{1,20}) *$/;

function parseSocketLine(protocol: SocketTable, line: string): DatagramSocket | undefined {
  const fields = SOCKET_LINE.exec(line);
  if (fields === null) return undefined;
  const [, host = '', port = '', peerHost = '', peerPort = '', queue = '', ...decimals] = fields;
  const [uid = '', inode = '', drops = ''] = decimals;
  const local = formatAddress(host, port);
  const isConnected = /[^0]/.test(peerHost) || peerPort !== '0000';
  const peer = isConnected ? formatAddress(peerHost, peerPort) : null;
  return {
    key: keyOf(protocol, local, peer, inode),
    protocol,
    local,
    peer,
    inode: Number(inode),
    uid: Number(uid),
    drops: BigInt(drops),
    queueBytes: Number.parseInt(queue, 16),
  };
}

/**
 * `0100007F`, `0035` → `127.0.0.1:53`. The kernel prints 32-bit words in the byte order of the
 * machine; little-endian is assumed (s390x would show addresses reversed).
 */
function formatAddress(host: string, port: string): string {
  const bytes: number[] = [];
  for (let word = 0; word < host.length; word += 8) {
    const value = Number.parseInt(host.slice(word, word + 8), 16);
    bytes.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  }
  const address = bytes.length === 4 ? bytes.join('.') : formatIPv6(bytes);
  return `${address}:${Number.parseInt(port, 16)}`;
}

/** RFC 5952, as URL() writes it, but IPv4-mapped addresses in dotted form. */
function formatIPv6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[2 * index] ?? 0) * 256 + (bytes[2 * index + 1] ?? 0)).toString(16),
  ).join(':');
  return groups.startsWith('0:0:0:0:0:ffff:')
    ? `[::ffff:${bytes.slice(12).join('.')}]`
    : new URL(`http://[${groups}]`).hostname;
}

/** Kernel sockets that share an address cannot be told apart: counted as one. */
function add(sockets: Map<string, DatagramSocket>, socket: DatagramSocket): void {
  const twin = sockets.get(socket.key);
  sockets.set(
    socket.key,
    twin === undefined
      ? socket
      : {
          ...socket,
          drops: socket.drops + twin.drops,
          queueBytes: socket.queueBytes + twin.queueBytes,
        },
  );
}

function losingSince(
  first: ReadonlyMap<string, DatagramSocket>,
  last: ReadonlyMap<string, DatagramSocket>,
): readonly DatagramSocket[] {
  return [...last.values()].filter(({ key, drops }) => drops > (first.get(key)?.drops ?? 0n));
}

function withDetails(
  sockets: ReadonlyMap<string, DatagramSocket>,
  details: ReadonlyMap<number, SocketDetails>,
): ReadonlyMap<string, DatagramSocket> {
  return new Map(
    [...sockets].map(([key, socket]) => {
      const known = details.get(socket.inode);
      return [key, known === undefined ? socket : { ...socket, ...known }];
    }),
  );
}
