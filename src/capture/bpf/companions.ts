import type { Companions, FullSocket, PeerEvents, Tally } from '../../model/companions.ts';
import { CompanionEvent, type RawPeer, type RawRest, type RawSocket } from './companion-layout.ts';
import { ipv4Address, ipv6Address } from './flow.ts';

export interface RawCompanions {
  readonly sockets: readonly RawSocket[];
  readonly peers: readonly RawPeer[];
  readonly rest: readonly RawRest[];
  /** Events that at least one tracepoint told of. */
  readonly watched: ReadonlySet<number>;
  readonly missed: number;
}

/** Names what the kernel counted. */
export function companionsFrom(raw: RawCompanions): Companions {
  const { BufferFull, MemoryLimit, ...Peer } = CompanionEvent;
  const peersOf = (event: number): Tally<PeerEvents> | null =>
    tallyOf(raw, [event], raw.peers, peerEvents);
  return {
    fullSockets: tallyOf(raw, [BufferFull, MemoryLimit], raw.sockets, fullSocket),
    retransmits: peersOf(Peer.Retransmit),
    synAckRetransmits: peersOf(Peer.SynAckRetransmit),
    resetsSent: peersOf(Peer.ResetSent),
    resetsReceived: peersOf(Peer.ResetReceived),
    badChecksums: peersOf(Peer.BadChecksum),
    missed: raw.missed,
  };
}

function tallyOf<Raw extends RawRest, Row extends { readonly packets: number }>(
  { rest, watched }: RawCompanions,
  events: readonly number[],
  rows: readonly Raw[],
  name: (row: Raw) => Row,
): Tally<Row> | null {
  if (!events.some((event) => watched.has(event))) return null;
  const isOurs = ({ event, packets }: RawRest): boolean => packets > 0 && events.includes(event);
  return {
    rows: rows
      .filter((row) => isOurs(row))
      .map((row) => name(row))
      .sort((a, b) => b.packets - a.packets),
    rest: rest
      .filter((row) => isOurs(row))
      .map(({ netns, packets }) => ({ netns: orNull(netns), packets })),
  };
}

function fullSocket(raw: RawSocket): FullSocket {
  const host = raw.family === Family.IPv6 ? `[${ipv6Address(raw.local)}]` : ipv4Address(raw.local);
  return {
    netns: orNull(raw.netns),
    limit: raw.event === CompanionEvent.BufferFull ? 'receive-buffer' : 'memory',
    protocol: protocolName(raw),
    local: isIp(raw) ? `${host}:${raw.localPort}` : null,
    socket: orNull(raw.inode),
    packets: raw.packets,
    rcvbufBytes: raw.rcvbufBytes,
    queuedBytesMax: raw.queuedBytes,
  };
}

function peerEvents({ netns, family, local, remote, ...raw }: RawPeer): PeerEvents {
  return {
    netns: orNull(netns),
    local: addressOf(family, local),
    localPort: orNull(raw.localPort),
    remote: remote === null ? null : addressOf(family, remote),
    remotePort: orNull(raw.remotePort),
    packets: raw.packets,
    handshakePackets: raw.handshakePackets,
  };
}

function orNull(value: number | null): number | null {
  return value === 0 ? null : value;
}

/** AF_… and SOCK_… (include/linux/socket.h, include/linux/net.h). */
const Family = { IPv4: 2, IPv6: 10 } as const;
const SOCK_RAW = 3;

function isIp({ family }: Pick<RawSocket, 'family'>): boolean {
  return family === Family.IPv4 || family === Family.IPv6;
}

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmp'],
  [136, 'udplite'],
]);

/** As the files in /proc/net are called. */
function protocolName(raw: RawSocket): string {
  if (!isIp(raw)) return `family ${raw.family}`;
  const name = raw.type === SOCK_RAW ? 'raw' : PROTOCOLS.get(raw.protocol);
  if (name === undefined) return `IP protocol ${raw.protocol}`;
  return raw.family === Family.IPv6 ? `${name}6` : name;
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** That of IPv4 also where a socket for IPv6 carries the connection (`::ffff:10.0.0.1`). */
function addressOf(family: number, bytes: Uint8Array): string | null {
  if (family === Family.IPv4) return ipv4Address(bytes);
  if (family !== Family.IPv6) return null;
  const isMapped = MAPPED.every((byte, index) => bytes[index] === byte);
  return isMapped ? ipv4Address(bytes.subarray(MAPPED.length)) : ipv6Address(bytes);
}
