import { closeSync } from 'node:fs';
import { endianness } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { ok, unread, type Reading } from '../model/reading.ts';
import type { Within } from './visits.ts';

/** A socket to the kernel's tables of packet filters, in the network namespace where it was opened. */
export interface Netlink {
  /**
   * Has the kernel list a table. Rejects when it refuses.
   *
   * @param type of the request
   * @param body what follows its header
   * @param onMessage gets each entry, without its header, and may look at it until it returns
   */
  dump(type: number, body: Uint8Array, onMessage: (message: Span) => void): Promise<void>;
  close(): void;
}

/** A part of a buffer. To make a Buffer of each attribute of 50,000 rules would take a second. */
export interface Span {
  readonly data: Buffer;
  readonly start: number;
  readonly end: number;
}

/** include/uapi/linux/netlink.h and socket.h */
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x8_0000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER_BYTES = 16;
/** The kernel hands out a dump in pieces of 32 KiB at most (netlink_dump, 6.18). */
const RECEIVE_BYTES = 64 * 1024;

/** struct timeval: nobody waits longer for one piece. */
const RECEIVE_TIMEOUT = BigInt64Array.of(2n, 0n);

/**
 * A list is received in place, for so long at a time: in the thread pool each of its pieces, half a millisecond of
 * work, would wait for whatever else is being parsed, 600 times for 50,000 rules.
 */
const TURN_MS = 25;

/** Not `ok` without koffi. */
export async function openNetlink(within: Within): Promise<Reading<Netlink>> {
  if (endianness() === 'BE') {
    return unread('not-applicable', 'netlink is read on little-endian machines only');
  }
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    const socket = libc.func('int socket(int domain, int type, int protocol)') as Socket;
    const setOption = libc.func(
      'int setsockopt(int fd, int level, int option, const void *value, unsigned int size)',
    ) as SetOption;
    const send = libc.func('long send(int fd, const void *data, size_t size, int flags)') as Send;
    const recv = libc.func(
      'long recv(int fd, _Out_ uint8_t *data, size_t size, int flags)',
    ) as Receive;
    const fd = within(() => socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (fd < 0) return unread('absent', 'this kernel has no netlink for packet filters');
    setOption(fd, SOL_SOCKET, SO_RCVTIMEO, RECEIVE_TIMEOUT, RECEIVE_TIMEOUT.byteLength);
    let turnEndsAt = performance.now() + TURN_MS;
    return ok({
      async dump(type, body, onMessage) {
        const request = Buffer.alloc(HEADER_BYTES + body.length);
        request.writeUInt32LE(request.length, 0);
        request.writeUInt16LE(type, 4);
        request.writeUInt16LE(NLM_F_REQUEST | NLM_F_DUMP, 6);
        request.set(body, HEADER_BYTES);
        if (send(fd, request, request.length, 0) < 0) throw new Error('netlink takes no request');
        const data = Buffer.alloc(RECEIVE_BYTES);
        for (;;) {
          if (performance.now() > turnEndsAt) {
            await nextTurn();
            turnEndsAt = performance.now() + TURN_MS;
          }
          const length = recv(fd, data, data.length, 0);
          if (length <= 0) throw new Error('netlink does not answer');
          for (let at = 0; at + HEADER_BYTES <= length;) {
            const end = at + data.readUInt32LE(at);
            const kind = data.readUInt16LE(at + 4);
            // Both begin with an error number, which is 0 at a good end.
            if (kind === NLMSG_DONE || kind === NLMSG_ERROR) {
              const error = data.readInt32LE(at + HEADER_BYTES);
              if (error !== 0) throw new Error(`netlink refuses with error ${-error}`);
              return;
            }
            onMessage({ data, start: at + HEADER_BYTES, end });
            at = aligned(end);
          }
        }
      },
      close() {
        closeSync(fd);
      },
    });
  } catch {
    return unread('absent', 'the optional package koffi is not installed');
  }
}

type Socket = (domain: number, type: number, protocol: number) => number;
type SetOption = (
  fd: number,
  level: number,
  option: number,
  value: BigInt64Array,
  size: number,
) => number;
type Send = (fd: number, data: Uint8Array, size: number, flags: number) => number;
type Receive = (fd: number, data: Buffer, size: number, flags: number) => number;

/** Attributes (struct nlattr), one after the other. */
export function* attributesIn({ data, start, end }: Span): Iterable<Span & { type: number }> {
  for (let at = start; isAttribute(data, at, end); at = attributeAfter(data, at)) {
    yield { type: typeAt(data, at), data, start: at + 4, end: at + lengthAt(data, at) };
  }
}

/** The first attribute of that type. */
export function attributeIn({ data, start, end }: Span, type: number): Span | undefined {
  const at = placeOf(type, data, start, end);
  return at === -1 ? undefined : { data, start: at + 4, end: at + lengthAt(data, at) };
}

// Of the expressions of 50,000 rules, half a million attributes, no object is made.

/** Where the first attribute of that type is, with its header; -1: nowhere. */
export function placeOf(type: number, data: Buffer, start: number, end: number): number {
  for (let at = start; isAttribute(data, at, end); at = attributeAfter(data, at)) {
    if (typeAt(data, at) === type) return at;
  }
  return -1;
}

export function isAttribute(data: Buffer, at: number, end: number): boolean {
  return at + 4 <= end && lengthAt(data, at) >= 4;
}

export function attributeAfter(data: Buffer, at: number): number {
  return aligned(at + lengthAt(data, at));
}

/** With its header. */
export function lengthAt(data: Buffer, at: number): number {
  return byteAt(data, at) | (byteAt(data, at + 1) << 8);
}

function typeAt(data: Buffer, at: number): number {
  // The upper two bits are flags (NLA_TYPE_MASK).
  return byteAt(data, at + 2) | ((byteAt(data, at + 3) & 0x3f) << 8);
}

function byteAt(data: Buffer, at: number): number {
  return data[at] ?? 0;
}

/** Empty: no such attribute. */
export function textIn(message: Span, type: number): string {
  const value = attributeIn(message, type);
  return value === undefined ? '' : textOf(value);
}

/** What an attribute is, without the NUL at its end. */
export function textOf({ data, start, end }: Span): string {
  return data.toString('utf8', start, end - 1);
}

/** Numbers of netfilter are big-endian. */
export function numberIn(message: Span, type: number): number | undefined {
  const value = attributeIn(message, type);
  if (value === undefined) return undefined;
  const { data, start, end } = value;
  const upper = data.readUInt32BE(start);
  return end - start === 8 ? upper * 2 ** 32 + data.readUInt32BE(start + 4) : upper;
}

/** An attribute with text, as the kernel wants it: it ends in NUL. */
export function textAttribute(type: number, text: string): Buffer {
  const value = Buffer.from(`${text}\0`);
  const attribute = Buffer.alloc(aligned(4 + value.length));
  attribute.writeUInt16LE(4 + value.length, 0);
  attribute.writeUInt16LE(type, 2);
  attribute.set(value, 4);
  return attribute;
}

function aligned(offset: number): number {
  return (offset + 3) & ~3;
}
