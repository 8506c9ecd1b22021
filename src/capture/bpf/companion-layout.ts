/**
 * The structures of bpf/sockets.bpf.c as bytes; change both together. Little-endian, as the object is.
 * test/unit/capture/bpf/companions.test.ts compares the offsets with the BTF of the object.
 */

export const SocketKeyLayout = { inode: 8, event: 12, bytes: 16 } as const;

export const SocketRowLayout = {
  packets: 0,
  local: 8,
  netns: 24,
  rcvbuf: 28,
  queued: 32,
  local_port: 36,
  family: 38,
  type: 40,
  protocol: 42,
  bytes: 48,
} as const;

export const PeerKeyLayout = {
  local: 0,
  remote: 16,
  netns: 32,
  local_port: 36,
  family: 38,
  event: 39,
  bytes: 40,
} as const;

export const PeerRowLayout = {
  packets: 0,
  handshake: 8,
  remote: 16,
  local_port: 32,
  remote_port: 34,
  several: 36,
  bytes: 40,
} as const;

export const RestKeyLayout = { netns: 0, event: 4, bytes: 8 } as const;
export const restBytes = 8;

/** `enum event`. */
export const CompanionEvent = {
  BufferFull: 1,
  MemoryLimit: 2,
  Retransmit: 3,
  ResetReceived: 4,
  SynAckRetransmit: 5,
  ResetSent: 6,
  BadChecksum: 7,
} as const;

/** Packets of one kind of event: a row, or what found no row. */
export interface RawRest {
  readonly event: number;
  /** 0: unknown. */
  readonly netns: number;
  readonly packets: number;
}

export interface RawSocket extends RawRest {
  /** Inode number; 0: none. */
  readonly inode: number;
  /** AF_… */
  readonly family: number;
  /** SOCK_… */
  readonly type: number;
  readonly protocol: number;
  /** 16 bytes. */
  readonly local: Uint8Array;
  readonly localPort: number;
  readonly rcvbufBytes: number;
  readonly queuedBytes: number;
}

/**
 * One full socket.
 *
 * @param key a struct socket_key
 * @param values a struct socket_row for each CPU
 */
export function parseSocket(key: Uint8Array, values: Uint8Array): RawSocket | null {
  const at = SocketRowLayout;
  const cpus = cpusOf(values, at.bytes).map((row) => ({ row, view: viewOf(row) }));
  const [first] = cpus;
  if (first === undefined) return null;
  const most = (offset: number): number =>
    Math.max(...cpus.map(({ view }) => view.getUint32(offset, true)));
  return {
    inode: viewOf(key).getUint32(SocketKeyLayout.inode, true),
    event: viewOf(key).getUint32(SocketKeyLayout.event, true),
    netns: first.view.getUint32(at.netns, true),
    family: first.view.getUint16(at.family, true),
    type: first.view.getUint16(at.type, true),
    protocol: first.view.getUint16(at.protocol, true),
    local: address(first.row, at.local),
    localPort: first.view.getUint16(at.local_port, true),
    packets: sum(cpus, ({ view }) => uint64(view, at.packets)),
    rcvbufBytes: most(at.rcvbuf),
    queuedBytes: most(at.queued),
  };
}

/** Null: several. */
export interface RawPeer extends RawRest {
  /** AF_… */
  readonly family: number;
  /** 16 bytes, like the next one. */
  readonly local: Uint8Array;
  readonly remote: Uint8Array | null;
  readonly localPort: number | null;
  readonly remotePort: number | null;
  readonly handshakePackets: number;
}

/**
 * One peer, or one port.
 *
 * @param key a struct peer_key
 * @param values a struct peer_row for each CPU
 */
export function parsePeer(key: Uint8Array, values: Uint8Array): RawPeer | null {
  const at = PeerRowLayout;
  const view = viewOf(key);
  const cpus = cpusOf(values, at.bytes).map((row) => {
    const cpu = viewOf(row);
    const differ = cpu.getUint32(at.several, true);
    return {
      packets: uint64(cpu, at.packets),
      handshakePackets: uint64(cpu, at.handshake),
      remote: (differ & Differ.remote) === 0 ? address(row, at.remote) : null,
      localPort: (differ & Differ.localPort) === 0 ? cpu.getUint16(at.local_port, true) : null,
      remotePort: (differ & Differ.remotePort) === 0 ? cpu.getUint16(at.remote_port, true) : null,
    };
  });
  if (cpus.length === 0) return null;
  return {
    event: view.getUint8(PeerKeyLayout.event),
    netns: view.getUint32(PeerKeyLayout.netns, true),
    family: view.getUint8(PeerKeyLayout.family),
    local: address(key, PeerKeyLayout.local),
    remote: agreed(cpus.map(({ remote }) => remote)),
    localPort: agreed(cpus.map(({ localPort }) => localPort)),
    remotePort: agreed(cpus.map(({ remotePort }) => remotePort)),
    packets: sum(cpus, ({ packets }) => packets),
    handshakePackets: sum(cpus, ({ handshakePackets }) => handshakePackets),
  };
}

/** DIFFER_… */
const Differ = { remote: 1, localPort: 2, remotePort: 4 } as const;

/** What all CPUs saw; null if they saw several. */
function agreed<Value extends number | Uint8Array>(cpus: readonly (Value | null)[]): Value | null {
  const [first = null] = cpus;
  return cpus.every((value) => String(value) === String(first)) ? first : null;
}

/**
 * @param key a struct rest_key
 * @param values a number for each CPU
 */
export function parseRest(key: Uint8Array, values: Uint8Array): RawRest {
  const view = viewOf(key);
  return {
    netns: view.getUint32(RestKeyLayout.netns, true),
    event: view.getUint32(RestKeyLayout.event, true),
    packets: sum(cpusOf(values, restBytes), (packets) => uint64(viewOf(packets), 0)),
  };
}

/** The key of what finds no other row. */
export function lastRestKey(event: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(0, event).buffer);
}

/** The values of the CPUs that counted something; each begins with its packets. */
function cpusOf(values: Uint8Array, bytes: number): readonly Uint8Array[] {
  return Array.from({ length: Math.floor(values.length / bytes) }, (_, cpu) =>
    values.subarray(cpu * bytes, (cpu + 1) * bytes),
  ).filter((row) => uint64(viewOf(row), 0) > 0);
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Exact up to 2 ** 53. */
function uint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

/** The caller may use the bytes again. */
function address(bytes: Uint8Array, start: number): Uint8Array {
  return Uint8Array.from(bytes.subarray(start, start + 16));
}
