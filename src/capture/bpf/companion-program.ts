import { ok, unread, type Reading } from '../../model/reading.ts';
import {
  CompanionEvent,
  lastRestKey,
  parsePeer,
  parseRest,
  parseSocket,
  PeerKeyLayout,
  PeerRowLayout,
  restBytes,
  RestKeyLayout,
  SocketKeyLayout,
  SocketRowLayout,
} from './companion-layout.ts';
import type { RawCompanions } from './companions.ts';
import type { LibBpf, Pointer } from './libbpf.ts';
import { failure, isError, objectPath, possibleCpus, recursionMisses } from './program.ts';

/** Programs of bpf/sockets.bpf.c, each named like its tracepoint, and the events they count. */
const programs = {
  sock_rcvqueue_full: [CompanionEvent.BufferFull],
  udp_fail_queue_rcv_skb: [CompanionEvent.BufferFull, CompanionEvent.MemoryLimit],
  sock_exceed_buf_limit: [CompanionEvent.MemoryLimit],
  tcp_retransmit_skb: [CompanionEvent.Retransmit],
  tcp_receive_reset: [CompanionEvent.ResetReceived],
  tcp_retransmit_synack: [CompanionEvent.SynAckRetransmit],
  tcp_send_reset: [CompanionEvent.ResetSent],
  tcp_bad_csum: [CompanionEvent.BadChecksum],
} as const;

/** For kernels since 6.2, and for older ones, as the objects of the drops are. */
const objects = ['sockets.bpf.o', 'sockets-compatible.bpf.o'] as const;

/** bpf/sockets.bpf.c, loaded and attached. Everything of it belongs to this process and goes with it. */
export interface AttachedCompanions {
  /** Stops counting, reads what was counted, and removes the programs. */
  finish(): RawCompanions;
}

/**
 * Attaches what the running kernel has a tracepoint for; a note tells of the others.
 *
 * @param netns count this namespace only; 0: all
 */
export function attachCompanions(lib: LibBpf, netns: number): Reading<AttachedCompanions> {
  const [newer, older] = objects;
  const attached = attachObject(lib, newer, netns);
  return attached.status === 'ok' ? attached : attachObject(lib, older, netns);
}

function attachObject(lib: LibBpf, file: string, netns: number): Reading<AttachedCompanions> {
  const path = objectPath(file);
  if (path === null) return unread('absent', `The file bpf/${file} of whydrop is missing.`);
  lib.takeMessages();
  const object = lib.openObject(path, null);
  if (isError(object)) return failure(lib, lib.errno());
  const maps = ['full_sockets', 'peers', 'ports', 'rest', 'wanted_netns'];
  const [sockets, peers, ports, rest, wanted] = maps.map((name) => lib.findMap(object, name));
  if (isError(sockets) || isError(peers) || isError(ports) || isError(rest) || isError(wanted)) {
    lib.closeObject(object);
    return unread('crashed', `${path} is of another version of whydrop.`);
  }
  const error = lib.loadObject(object);
  if (error !== 0) {
    const refusal = failure(lib, -error);
    lib.closeObject(object);
    return refusal;
  }
  const cpus = possibleCpus();
  lib.update(lib.mapFd(wanted), Buffer.alloc(4), new Uint8Array(Uint32Array.of(netns).buffer), 0);
  for (const event of Object.values(CompanionEvent)) {
    lib.update(lib.mapFd(rest), lastRestKey(event), Buffer.alloc(cpus * restBytes), 0);
  }

  const links: Pointer[] = [];
  const attached: Pointer[] = [];
  const watched = new Set<number>();
  const missing: string[] = [];
  for (const [name, events] of Object.entries(programs)) {
    const program = lib.findProgram(object, name);
    const link = isError(program) ? null : lib.attachProgram(program);
    if (isError(program) || isError(link)) {
      missing.push(name);
      continue;
    }
    links.push(link);
    attached.push(program);
    for (const event of events) watched.add(event);
  }
  lib.takeMessages();

  const read = <Row>(
    map: Pointer,
    [keyBytes, rowBytes]: readonly [number, number],
    parse: (key: Uint8Array, values: Uint8Array) => Row | null,
  ): readonly Row[] => readRows(lib, lib.mapFd(map), keyBytes, cpus * rowBytes, parse);
  const socketBytes = [SocketKeyLayout.bytes, SocketRowLayout.bytes] as const;
  const peerBytes = [PeerKeyLayout.bytes, PeerRowLayout.bytes] as const;

  return ok(
    {
      finish() {
        for (const link of links) lib.destroyLink(link);
        const told: RawCompanions = {
          sockets: read(sockets, socketBytes, parseSocket),
          peers: [...read(peers, peerBytes, parsePeer), ...read(ports, peerBytes, parsePeer)],
          rest: read(rest, [RestKeyLayout.bytes, restBytes], parseRest),
          watched,
          missed: attached
            .map((program) => recursionMisses(lib, lib.programFd(program)))
            .reduce((sum, count) => sum + count, 0),
        };
        lib.closeObject(object);
        return told;
      },
    },
    missing.length === 0
      ? []
      : [`This kernel has no tracepoint ${missing.join(', ')}: what it tells is not known.`],
  );
}

/** All of a hash map that nothing writes to any more. */
function readRows<Row>(
  lib: LibBpf,
  fd: number,
  keyBytes: number,
  valueBytes: number,
  parse: (key: Uint8Array, values: Uint8Array) => Row | null,
): readonly Row[] {
  const rows: Row[] = [];
  const value = Buffer.alloc(valueBytes);
  let key: Buffer | null = null;
  for (;;) {
    const next: Buffer = Buffer.alloc(keyBytes);
    if (lib.nextKey(fd, key, next) !== 0) return rows;
    const row = lib.lookup(fd, next, value) === 0 ? parse(next, value) : null;
    if (row !== null) rows.push(row);
    key = next;
  }
}
