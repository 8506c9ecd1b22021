import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CompanionEvent,
  lastRestKey,
  parsePeer,
  parseRest,
  parseSocket,
  PeerKeyLayout,
  PeerRowLayout,
  RestKeyLayout,
  SocketKeyLayout,
  SocketRowLayout,
  type RawRest,
} from '../../../../src/capture/bpf/companion-layout.ts';
import { companionsFrom, type RawCompanions } from '../../../../src/capture/bpf/companions.ts';
import { objectBtf } from './object.ts';

const NETNS = 4_026_532_000;

test.each(['sockets.bpf.o', 'sockets-compatible.bpf.o'] as const)(
  'offsets are those of %s',
  (object) => {
    const btf = objectBtf(object);
    const layouts = {
      socket_key: SocketKeyLayout,
      socket_row: SocketRowLayout,
      peer_key: PeerKeyLayout,
      peer_row: PeerRowLayout,
      rest_key: RestKeyLayout,
    };
    for (const [name, layout] of Object.entries(layouts)) {
      const actual: ReadonlyMap<string, number> = btf.struct(name) ?? new Map();
      for (const [member, offset] of Object.entries(layout)) {
        const found = actual.get(member === 'bytes' ? '' : member);
        expect([name, member, offset]).toEqual([name, member, found]);
      }
    }
  },
);

function socketKey(inode: number, event: number): Buffer {
  const key = Buffer.alloc(SocketKeyLayout.bytes);
  key.writeUInt32LE(inode, SocketKeyLayout.inode);
  key.writeUInt32LE(event, SocketKeyLayout.event);
  return key;
}

interface SocketFields {
  readonly packets: number;
  readonly queued: number;
  readonly family?: number;
  readonly type?: number;
  readonly protocol?: number;
  readonly local?: readonly number[];
}

/** A struct socket_row of one CPU; UDP at 10.0.0.1:53 unless said otherwise. */
function socketRow(fields: SocketFields): Buffer {
  const row = Buffer.alloc(SocketRowLayout.bytes);
  row.writeBigUInt64LE(BigInt(fields.packets), SocketRowLayout.packets);
  row.set(fields.local ?? [10, 0, 0, 1], SocketRowLayout.local);
  row.writeUInt32LE(NETNS, SocketRowLayout.netns);
  row.writeUInt32LE(8192, SocketRowLayout.rcvbuf);
  row.writeUInt32LE(fields.queued, SocketRowLayout.queued);
  row.writeUInt16LE(53, SocketRowLayout.local_port);
  row.writeUInt16LE(fields.family ?? 2, SocketRowLayout.family);
  row.writeUInt16LE(fields.type ?? 2, SocketRowLayout.type);
  row.writeUInt16LE(fields.protocol ?? 17, SocketRowLayout.protocol);
  return row;
}

interface PeerFields {
  readonly packets: number;
  readonly handshake?: number;
  readonly remote?: readonly number[];
  readonly localPort?: number;
  readonly remotePort?: number;
  readonly several?: number;
}

function peerKey(event: number, local: readonly number[], family = 2): Buffer {
  const key = Buffer.alloc(PeerKeyLayout.bytes);
  key.set(local, PeerKeyLayout.local);
  key.writeUInt32LE(NETNS, PeerKeyLayout.netns);
  key.writeUInt8(family, PeerKeyLayout.family);
  key.writeUInt8(event, PeerKeyLayout.event);
  return key;
}

function peerRow(fields: PeerFields): Buffer {
  const row = Buffer.alloc(PeerRowLayout.bytes);
  row.writeBigUInt64LE(BigInt(fields.packets), PeerRowLayout.packets);
  row.writeBigUInt64LE(BigInt(fields.handshake ?? 0), PeerRowLayout.handshake);
  row.set(fields.remote ?? [10, 0, 0, 2], PeerRowLayout.remote);
  row.writeUInt16LE(fields.localPort ?? 40_000, PeerRowLayout.local_port);
  row.writeUInt16LE(fields.remotePort ?? 443, PeerRowLayout.remote_port);
  row.writeUInt32LE(fields.several ?? 0, PeerRowLayout.several);
  return row;
}

/** What the reader would hand on, of everything watched. */
function raw(parts: Partial<RawCompanions>): RawCompanions {
  const watched = new Set(Object.values(CompanionEvent));
  return { sockets: [], peers: [], rest: [], watched, missed: 0, ...parts };
}

function socketsOf(...sockets: readonly ReturnType<typeof parseSocket>[]) {
  return companionsFrom(raw({ sockets: sockets.flatMap((socket) => socket ?? []) })).fullSockets;
}

test('a full socket: packets of all CPUs, the fullest moment of any', () => {
  const values = Buffer.concat([
    socketRow({ packets: 5, queued: 7000 }),
    Buffer.alloc(SocketRowLayout.bytes),
    socketRow({ packets: 3, queued: 8000 }),
  ]);
  expect(socketsOf(parseSocket(socketKey(77, CompanionEvent.BufferFull), values))?.rows).toEqual([
    {
      netns: NETNS,
      limit: 'receive-buffer',
      protocol: 'udp',
      local: '10.0.0.1:53',
      socket: 77,
      packets: 8,
      rcvbufBytes: 8192,
      queuedBytesMax: 8000,
    },
  ]);
});

test.each<[string, Partial<SocketFields>, string, string | null]>([
  ['UDP over IPv6', { family: 10, local: [0x20, 1, 0xd, 0xb8] }, 'udp6', '[2001:db8::]:53'],
  ['a raw socket', { type: 3, protocol: 17 }, 'raw', '10.0.0.1:53'],
  ['TCP', { type: 1, protocol: 6 }, 'tcp', '10.0.0.1:53'],
  ['ping over IPv6', { family: 10, protocol: 58, local: [0, 0, 0, 0] }, 'icmp6', '[::]:53'],
  ['a protocol without a name', { protocol: 132 }, 'IP protocol 132', '10.0.0.1:53'],
  ['CAN', { family: 29, protocol: 1 }, 'family 29', null],
])('%s is named as in /proc/net', (_, fields, protocol, local) => {
  const row = socketRow({ packets: 1, queued: 1, ...fields });
  const found = socketsOf(parseSocket(socketKey(0, CompanionEvent.MemoryLimit), row));
  expect(found?.rows).toMatchObject([{ protocol, local, limit: 'memory', socket: null }]);
});

test('a peer keeps what all CPUs agree on', () => {
  const key = peerKey(CompanionEvent.Retransmit, [10, 0, 0, 1]);
  const values = Buffer.concat([
    peerRow({ packets: 5, handshake: 1 }),
    peerRow({ packets: 2, localPort: 40_001 }),
  ]);
  const peers = [parsePeer(key, values)].flatMap((peer) => peer ?? []);
  expect(companionsFrom(raw({ peers })).retransmits).toEqual({
    rows: [
      {
        netns: NETNS,
        local: '10.0.0.1',
        localPort: null,
        remote: '10.0.0.2',
        remotePort: 443,
        packets: 7,
        handshakePackets: 1,
      },
    ],
    rest: [],
  });
});

test.each([
  [1, { remote: null, localPort: 40_000, remotePort: 443 }],
  [2, { remote: '10.0.0.2', localPort: null, remotePort: 443 }],
  [4, { remote: '10.0.0.2', localPort: 40_000, remotePort: null }],
])('what differed on one CPU is not named (%i)', (several, expected) => {
  const key = peerKey(CompanionEvent.ResetSent, [10, 0, 0, 1]);
  const peer = parsePeer(key, peerRow({ packets: 5, several }));
  const peers = peer === null ? [] : [peer];
  expect(companionsFrom(raw({ peers })).resetsSent?.rows).toMatchObject([expected]);
});

test('a connection over IPv4 is called so, whatever socket carries it', () => {
  const mapped = (last: number): readonly number[] => [
    ...Array<number>(10).fill(0),
    0xff,
    0xff,
    10,
    0,
    0,
    last,
  ];
  const key = peerKey(CompanionEvent.Retransmit, mapped(1), 10);
  const peer = parsePeer(key, peerRow({ packets: 1, remote: mapped(2) }));
  const peers = peer === null ? [] : [peer];
  expect(companionsFrom(raw({ peers })).retransmits?.rows).toMatchObject([
    { local: '10.0.0.1', remote: '10.0.0.2' },
  ]);
});

test('packets without a row are not lost; a rest of 0 is none', () => {
  const values = Buffer.alloc(16);
  values.writeBigUInt64LE(9n, 8);
  const rest: RawRest[] = [
    parseRest(Buffer.from(lastRestKey(CompanionEvent.ResetSent)), values),
    parseRest(Buffer.from(lastRestKey(CompanionEvent.Retransmit)), Buffer.alloc(16)),
  ];
  const companions = companionsFrom(raw({ rest }));
  expect(companions.resetsSent?.rest).toEqual([{ netns: null, packets: 9 }]);
  expect(companions.retransmits?.rest).toEqual([]);
});

test('a table nobody could watch is null, and not empty', () => {
  const watched = new Set([CompanionEvent.MemoryLimit]);
  expect(companionsFrom(raw({ watched, missed: 2 }))).toEqual({
    fullSockets: { rows: [], rest: [] },
    retransmits: null,
    synAckRetransmits: null,
    resetsSent: null,
    resetsReceived: null,
    badChecksums: null,
    missed: 2,
  });
});

test('garbage gives rows, never an exception', () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 40, maxLength: 40 }), bytes, (key, values) => {
      const peer = parsePeer(key, values);
      const socket = parseSocket(key, values);
      const told = companionsFrom(
        raw({
          peers: peer === null ? [] : [peer],
          sockets: socket === null ? [] : [socket],
          rest: [parseRest(key, values)],
        }),
      );
      for (const { packets } of told.retransmits?.rows ?? []) expect(packets).toBeGreaterThan(0);
    }),
  );
});
