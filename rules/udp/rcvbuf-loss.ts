import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import type { DatagramSocket, SocketsValue } from '../../checks/sockets.ts';
import { total, type FullSocket } from '../../src/model/companions.ts';
import type { DropCapture } from '../../src/model/drops.ts';

/** One socket that lost datagrams to a full buffer in the window. */
export interface SocketLoss {
  /** As last seen. */
  readonly socket: DatagramSocket;
  /** Its part of the rise of RcvbufErrors. */
  readonly packets: number;
  /** All readings it was in, in order; one opened in the window begins empty. */
  readonly history: readonly DatagramSocket[];
  /** Gone before the window ended: its counter went with it. */
  readonly closed: boolean;
  /** What the kernel told when it refused the datagrams (BPF capture). */
  readonly told?: FullSocket;
}

export interface Losses {
  readonly sockets: readonly SocketLoss[];
  /** Of the rise of RcvbufErrors, what no socket we saw accounts for. */
  readonly unseen: number;
  /** What the sockets lost beyond it: bad checksum, memory limit, socket filter. */
  readonly otherReasons: number;
}

/**
 * The counters and the sockets are read some milliseconds apart. At a steady loss over a window of
 * five seconds this share is 100 ms: what differs less is the same packets.
 */
const READING_SKEW = 0.02;

/** Says which socket lost what: as the capture was told, or else as far as counters tell. */
export function lossesBySocket(
  sockets: Sampled<SocketsValue>,
  rcvbufErrors: number,
  drops?: DropCapture,
): Losses {
  return lossesTold(sockets, rcvbufErrors, drops) ?? lossesCounted(sockets, rcvbufErrors);
}

/**
 * The kernel names the socket when it refuses a datagram. Undefined where nobody listened, or where that does
 * not account for the whole counter.
 */
function lossesTold(
  sockets: Sampled<SocketsValue>,
  rcvbufErrors: number,
  drops: DropCapture | undefined,
): Losses | undefined {
  const all = drops?.companions?.fullSockets;
  const full = (all?.rows ?? []).filter(
    ({ limit, protocol }) => limit === 'receive-buffer' && /^udp6?$/.test(protocol),
  );
  const refused = total({ rows: full, rest: all?.rest ?? [] });
  const named = total({ rows: full, rest: [] });
  if (named !== refused || refused < rcvbufErrors * (1 - READING_SKEW)) return undefined;

  // The capture begins before the first reading of the counters, and ends after the last.
  const scale = rcvbufErrors / Math.max(refused, rcvbufErrors);
  const seen = histories(sockets);
  const losses = full.map((told): SocketLoss => {
    const history = seen.find(([first]) => first !== undefined && isSame(first, told)) ?? [];
    const last = history.at(-1);
    const socket = {
      ...(last ?? unseenSocket(told)),
      rcvbufBytes: told.rcvbufBytes,
      ...ownerOf(told, drops),
    };
    const [first = { ...socket, drops: BigInt(told.packets) }] = history;
    // Opened in the window, so it began empty; unless the kernel's list had skipped an old one.
    const isNew = !sockets.first.udp.has(socket.key) && first.drops <= BigInt(told.packets);
    return {
      socket,
      packets: Math.floor(told.packets * scale),
      history: isNew ? [{ ...first, drops: 0n, queueBytes: 0 }, ...history] : history,
      closed: !sockets.last.udp.has(socket.key),
      told,
    };
  });
  return { sockets: withRemainder(losses, rcvbufErrors), unseen: 0, otherReasons: 0 };
}

/** What was lost to rounding goes to the socket that lost most. */
function withRemainder(losses: readonly SocketLoss[], packets: number): readonly SocketLoss[] {
  const remainder = losses.reduce((left, loss) => left - loss.packets, packets);
  return losses
    .map((loss, index) => (index === 0 ? { ...loss, packets: loss.packets + remainder } : loss))
    .filter(({ packets }) => packets > 0);
}

function isSame({ inode, protocol, local }: DatagramSocket, told: FullSocket): boolean {
  return told.socket === null
    ? inode === 0 && protocol === told.protocol && local === told.local
    : inode === told.socket;
}

/** One that no reading of /proc/net/udp found: it was opened and closed between two of them. */
function unseenSocket({ protocol, local, socket, packets, queuedBytesMax }: FullSocket) {
  const inode = socket ?? 0;
  return {
    key: String(inode),
    protocol: protocol === 'udp6' ? 'udp6' : 'udp',
    local: local ?? '',
    peer: null,
    inode,
    uid: 0,
    drops: BigInt(packets),
    queueBytes: queuedBytesMax,
  } as const satisfies DatagramSocket;
}

function ownerOf(
  { socket }: FullSocket,
  drops: DropCapture | undefined,
): Pick<DatagramSocket, 'process'> {
  const process = socket === null ? undefined : drops?.owners?.get(socket);
  return process === undefined ? {} : { process };
}

/**
 * Without the kernel's word: `RcvbufErrors` counts only full buffers but names nobody; a socket's
 * own counter names it but counts other losses too, and dies with it. Each packet is counted once.
 */
function lossesCounted(sockets: Sampled<SocketsValue>, rcvbufErrors: number): Losses {
  const seen = histories(sockets).flatMap((history) => {
    const [first, last] = [history[0], history.at(-1)];
    if (first === undefined || last === undefined) return [];
    return [{ first, last, history, rise: rise(first.drops, last.drops) }];
  });
  const risen = seen.reduce((sum, one) => sum + one.rise, 0);
  const scale = risen > rcvbufErrors ? rcvbufErrors / risen : 1;

  let unseen = rcvbufErrors;
  const known = seen.map((one) => {
    const packets = Math.floor(one.rise * scale);
    unseen -= packets;
    return { ...one, packets };
  });
  const losses = known
    .map(({ first, last, history, packets }): SocketLoss => {
      // Not there at the beginning: opened in the window, so all its losses belong here. Only as far
      // as the counter agrees, though: while sockets come and go the kernel's list can skip an old one.
      const more = sockets.first.udp.has(last.key) ? 0 : Math.min(unseen, rise(0n, first.drops));
      unseen -= more;
      return {
        socket: last,
        packets: packets + more,
        history: more > 0 ? [{ ...first, drops: 0n, queueBytes: 0 }, ...history] : history,
        closed: !sockets.last.udp.has(last.key),
      };
    })
    .filter(({ packets }) => packets > 0)
    .sort((a, b) => b.packets - a.packets || a.socket.key.localeCompare(b.socket.key));

  const [largest, ...others] = losses;
  const isSkew = risen >= rcvbufErrors || unseen <= rcvbufErrors * READING_SKEW;
  if (largest === undefined || !isSkew) return { sockets: losses, unseen, otherReasons: 0 };
  const beyond = risen - rcvbufErrors;
  return {
    sockets: [{ ...largest, packets: largest.packets + unseen }, ...others],
    unseen: 0,
    otherReasons: beyond > rcvbufErrors * READING_SKEW ? beyond : 0,
  };
}

function histories({ samples }: Sampled<SocketsValue>): readonly (readonly DatagramSocket[])[] {
  const byKey = new Map<string, DatagramSocket[]>();
  for (const { udp } of samples) {
    for (const [key, socket] of udp) {
      const history = byKey.get(key);
      if (history === undefined) byKey.set(key, [socket]);
      else history.push(socket);
    }
  }
  return [...byKey.values()];
}
