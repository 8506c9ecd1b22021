import { defineCheck } from '../src/model/check.ts';
import type { View } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

export interface SocketsValue {
  /** By `DatagramSocket.key`. A dual-stack socket is here once, as `udp6`. */
  readonly udp: ReadonlyMap<string, DatagramSocket>;
  readonly raw: ReadonlyMap<string, DatagramSocket>;
}

/** A datagram socket of this namespace: one line of /proc/net/udp, udp6, raw or raw6. */
export interface DatagramSocket extends SocketDetails {
  /**
   * Names the same socket in every reading: its inode, or protocol and addresses where it has none
   * (sockets the kernel opens for itself: VXLAN, WireGuard).
   */
  readonly key: string;
  readonly protocol: SocketTable;
  /** `0.0.0.0:53`, `[::1]:53`. For raw sockets the number after the colon is the IP protocol. */
  readonly local: string;
  /** Null: not connected, takes datagrams of any sender. */
  readonly peer: string | null;
  /** 0: the socket belongs to no process. */
  readonly inode: number;
  readonly uid: number;
  /**
   * Datagrams this socket lost since it was opened, for any reason: full buffer, memory limit, bad
   * checksum, socket filter. The number dies with the socket; `Udp.RcvbufErrors` lives on.
   */
  readonly drops: bigint;
  /**
   * Memory charged for the datagrams that wait to be read, overhead included. Without those already
   * read but not yet given back: up to a quarter of the buffer (`forward_deficit`, udp_rmem_release()).
   */
  readonly queueBytes: number;
}

/** Known only in the last reading, and only for sockets that lost something in the window. */
export interface SocketDetails {
  /** `sk_rcvbuf`, the limit of the queue. */
  readonly rcvbufBytes?: number;
  /** The first one, where several processes share the socket. Absent as well for lack of root. */
  readonly process?: { readonly pid: number; readonly name: string };
}

export type SocketTable = 'udp' | 'udp6' | 'raw' | 'raw6';

const TABLES: readonly SocketTable[] = ['udp', 'udp6', 'raw', 'raw6'];

/**
 * Reading /proc/net/udp takes 130 ms at 10,000 sockets (6.18, measured): far too much four times a
 * second. Beyond this number only the ends of the window are read.
 */
const SAMPLED_SOCKETS_MAX = 2000;

/** The kernel filters for us up to this many ports; beyond, one full dump is the simpler question. */
const SS_FILTER_PORTS_MAX = 64;

export default defineCheck<SocketsValue>({
  id: 'sockets',
  title: 'UDP and raw sockets',
  sources: ['/proc/net/udp', '/proc/net/udp6', '/proc/net/raw', '/proc/net/raw6', 'ss -uwanmpe'],
  // A reader that keeps up empties its queue within milliseconds, one that does not leaves it full
  // for as long as packets come: four looks a second tell them apart.
  sampleEveryMs: 250,

  async read(host, { phase, first }) {
    const known = first === undefined ? 0 : first.udp.size + first.raw.size;
    if (phase === 'sample' && known > SAMPLED_SOCKETS_MAX) {
      return unread('not-applicable', `${known} sockets are too many to watch their queues.`);
    }
    const table = await readTables(host);
    if (phase !== 'last' || first === undefined || table.status !== 'ok') return table;

    const { value, notes = [] } = table;
    const losing = [...value.udp.values(), ...value.raw.values()].filter(
      (socket) => socket.drops > (before(first, socket)?.drops ?? 0n),
    );
    if (losing.length === 0) return table;
    const details = await readDetails(host, losing);
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

async function readTables(view: View): Promise<Reading<SocketsValue>> {
  const files = await view.readFiles(TABLES.map((protocol) => `/proc/net/${protocol}`));
  const sockets: DatagramSocket[] = [];
  const notes: string[] = [];
  for (const [index, protocol] of TABLES.entries()) {
    const file = files[index] ?? unread('absent', `/proc/net/${protocol} was not read.`);
    const table = file.status === 'ok' ? parseSocketTable(protocol, file.value) : file;
    if (table.status === 'ok') {
      sockets.push(...table.value);
      notes.push(...(table.notes ?? []));
    } else if (protocol === 'udp') {
      return table;
    } else if (table.status !== 'absent') {
      // IPv6 may be switched off: its tables are then absent, which is no trouble.
      notes.push(table.reason);
    }
  }
  const isUdp = ({ protocol }: DatagramSocket) => protocol === 'udp' || protocol === 'udp6';
  return ok(
    {
      udp: byKey(sockets.filter(isUdp)),
      raw: byKey(sockets.filter((socket) => !isUdp(socket))),
    },
    notes,
  );
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
  const filled = lines.filter((line) => line.trim() !== '');
  const sockets = filled.flatMap((line) => parseSocketLine(protocol, line) ?? []);
  const lost = filled.length - sockets.length;
  return ok(sockets, lost === 0 ? [] : [`${lost} lines of /proc/net/${protocol} make no sense.`]);
}

function parseSocketLine(protocol: SocketTable, line: string): DatagramSocket | undefined {
  const [, localHex, peerHex, , queues, , , uid, , inode, , , drops] = line.trim().split(/\s+/);
  const local = parseAddress(localHex);
  const peer = parseAddress(peerHex);
  const queue = /^[0-9A-F]{8}:([0-9A-F]{8})$/i.exec(queues ?? '')?.[1];
  if (local === undefined || peer === undefined || queue === undefined) return undefined;
  if (!isDecimal(uid) || !isDecimal(inode) || !isDecimal(drops)) return undefined;
  return {
    key: inode === '0' ? `${protocol} ${local} ${peer}` : inode,
    protocol,
    local,
    peer: /^[0:]+$/.test(peerHex ?? '') ? null : peer,
    inode: Number(inode),
    uid: Number(uid),
    drops: BigInt(drops),
    queueBytes: Number.parseInt(queue, 16),
  };
}

function isDecimal(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,20}$/.test(text);
}

/**
 * `0100007F:0035` → `127.0.0.1:53`. The kernel prints 32-bit words in the byte order of the machine;
 * little-endian is assumed (s390x would show addresses reversed).
 */
function parseAddress(hex: string | undefined): string | undefined {
  const [, address = '', port = ''] =
    /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/i.exec(hex ?? '') ?? [];
  if (address === '') return undefined;
  const bytes = (address.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).reverse(),
  );
  const host = bytes.length === 4 ? bytes.join('.') : formatIPv6(bytes);
  return `${host}:${Number.parseInt(port, 16)}`;
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
function byKey(sockets: readonly DatagramSocket[]): ReadonlyMap<string, DatagramSocket> {
  const map = new Map<string, DatagramSocket>();
  for (const socket of sockets) {
    const twin = map.get(socket.key);
    map.set(socket.key, {
      ...socket,
      drops: socket.drops + (twin?.drops ?? 0n),
      queueBytes: socket.queueBytes + (twin?.queueBytes ?? 0),
    });
  }
  return map;
}

function before(first: SocketsValue, { key }: DatagramSocket): DatagramSocket | undefined {
  return first.udp.get(key) ?? first.raw.get(key);
}

async function readDetails(
  view: View,
  sockets: readonly DatagramSocket[],
): Promise<Reading<ReadonlyMap<number, SocketDetails>>> {
  const ports = [...new Set(sockets.map(({ local }) => local.slice(local.lastIndexOf(':'))))];
  // Names of ports and protocols stay numbers (-n); the ports come from us, as digits.
  const filter =
    ports.length > SS_FILTER_PORTS_MAX
      ? []
      : [`( ${ports.map((port) => `sport = ${port}`).join(' or ')} )`];
  const output = await view.run(['ss', '-H', '-uwanmpe', ...filter], { timeoutMs: 2000 });
  if (output.status !== 'ok') return output;
  const { stdout, stderr, exitCode } = output.value;
  return exitCode === 0
    ? ok(parseSs(stdout))
    : unread('malformed', `ss failed with code ${exitCode}: ${stderr.trim().slice(0, 200)}`);
}

/** `ss -mpe` by inode: the only source of a socket's buffer size (sock_diag, `SK_MEMINFO_RCVBUF`). */
export function parseSs(text: string): ReadonlyMap<number, SocketDetails> {
  const details = new Map<number, SocketDetails>();
  // Details follow on lines of their own that begin with white space (`-O` is not in iproute2 < 5.1).
  for (const line of text.replaceAll(/\n\s+/g, ' ').split('\n')) {
    const users = /users:\(\((.+)\)\)(?= |$)/.exec(line);
    // A process chooses its name and could write ` ino:1` or ` skmem:(` into it.
    const rest = users === null ? line : line.replace(users[0], '');
    const inode = / ino:(\d{1,20})(?= |$)/.exec(rest)?.[1];
    if (inode === undefined) continue;
    const rcvbuf = / skmem:\([^)]*\brb(\d{1,15})\b/.exec(rest)?.[1];
    // `"name",pid=1,fd=3` and more of them, divided by `),(`. A name has at most 15 bytes, too few to
    // imitate an entry and its divider as long as an empty name is refused.
    const user = /^"(.+?)",pid=(\d{1,10}),fd=\d+(?:\),\("|$)/.exec(users?.[1] ?? '');
    details.set(Number(inode), {
      ...(rcvbuf === undefined ? {} : { rcvbufBytes: Number(rcvbuf) }),
      ...(user === null ? {} : { process: { pid: Number(user[2]), name: user[1] ?? '' } }),
    });
  }
  return details;
}

function withDetails(
  sockets: ReadonlyMap<string, DatagramSocket>,
  details: ReadonlyMap<number, SocketDetails>,
): ReadonlyMap<string, DatagramSocket> {
  return new Map(
    [...sockets].map(([key, socket]) => [key, { ...socket, ...details.get(socket.inode) }]),
  );
}
