import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import type { DatagramSocket, SocketsValue } from '../../checks/sockets.ts';

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

/**
 * Says which socket lost what. `RcvbufErrors` counts only full buffers but names nobody; a socket's
 * own counter names it but counts other losses too, and dies with it. Each packet is counted once.
 */
export function lossesBySocket(sockets: Sampled<SocketsValue>, rcvbufErrors: number): Losses {
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
