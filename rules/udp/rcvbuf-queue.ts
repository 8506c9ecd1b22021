import type { DatagramSocket } from '../../checks/sockets.ts';
import { rise } from '../../src/model/counter.ts';

/**
 * Memory charged for one datagram of up to 1,500 bytes (`truesize`: data and sk_buff, rounded up by
 * the allocator). Measured on 6.18: 1,280 for 500 bytes, 2,304 for 1,400. Planning for the larger.
 */
export const DATAGRAM_BYTES = 2304;

/**
 * A buffer that overflows all the time does not read as 100 %: datagrams already read count for up to
 * a quarter of it until the kernel gives them back in one go (`forward_threshold`, udp.c), and
 * /proc/net/udp leaves those out. Measured under a steady overload: 74 to 94 %.
 */
const NEAR_FULL = 0.7;

/** A reader that keeps up is rarely caught with a full queue; one that does not, nearly always. */
const READER_BEHIND_SHARE = 0.8;

/** One second of looks. A queue that is full for less may be one burst. */
const LOOKS_MIN = 4;

export interface QueueBehaviour {
  /** `behind`: the reader does not keep up, or does not read at all. */
  readonly why: 'behind' | 'bursts' | 'unknown';
  /** Readings since the first loss, and how many of them found the queue nearly full. */
  readonly looks: number;
  readonly fullLooks: number;
  readonly peakBytes: number;
  /** Most datagrams lost before the queue had room again. */
  readonly burstPackets: number;
}

/** Why the buffer was full: only the queue's length over time tells a slow reader from a small buffer. */
export function queueBehaviour(
  history: readonly DatagramSocket[],
  rcvbufBytes: number | undefined,
): QueueBehaviour {
  const nearFull = ({ queueBytes }: DatagramSocket) =>
    rcvbufBytes !== undefined &&
    // The second: in a tiny buffer one datagram may leave no room for another.
    (queueBytes >= rcvbufBytes * NEAR_FULL ||
      (queueBytes > 0 && queueBytes + DATAGRAM_BYTES > rcvbufBytes));

  const looks: DatagramSocket[] = [];
  let burst = 0;
  let burstPackets = 0;
  for (const [index, socket] of history.entries()) {
    const lost = rise(history[index - 1]?.drops, socket.drops);
    if (lost > 0 || looks.length > 0) looks.push(socket);
    burst += lost;
    burstPackets = Math.max(burstPackets, burst);
    if (!nearFull(socket)) burst = 0;
  }
  const fullLooks = looks.filter(nearFull).length;
  return {
    why: judge(looks.length, fullLooks, rcvbufBytes),
    looks: looks.length,
    fullLooks,
    peakBytes: Math.max(0, ...history.map(({ queueBytes }) => queueBytes)),
    burstPackets,
  };
}

function judge(
  looks: number,
  fullLooks: number,
  rcvbufBytes: number | undefined,
): QueueBehaviour['why'] {
  if (rcvbufBytes === undefined || looks === 0) return 'unknown';
  if (fullLooks < looks * READER_BEHIND_SHARE) return 'bursts';
  return looks >= LOOKS_MIN ? 'behind' : 'unknown';
}
