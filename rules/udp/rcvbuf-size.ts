import type { Sysctl } from '../../checks/sysctl.ts';
import { DATAGRAM_BYTES } from './rcvbuf-queue.ts';

/**
 * Who decided the size of a socket's buffer (`sk_rcvbuf`):
 *
 * - `default`: nobody, the program never set SO_RCVBUF; the socket got `net.core.rmem_default`
 * - `capped`: the program asked for at least `net.core.rmem_max`; the kernel gives no more than
 *   that, doubled (sock_setsockopt(), __sock_set_rcvbuf())
 * - `old-default`: the kernel's built-in default, though `rmem_default` is larger by now
 * - `program`: the program chose it, or forced it (SO_RCVBUFFORCE)
 * - `unknown`: the settings or the size could not be read
 */
export type SizeOrigin = 'default' | 'capped' | 'old-default' | 'program' | 'unknown';

/** SK_RMEM_MAX on 64-bit machines: SKB_TRUESIZE(256) × 256 (include/net/sock.h). */
const BUILT_IN_DEFAULT_BYTES = 212_992;

export function sizeOrigin(
  rcvbufBytes: number | undefined,
  sysctl: Sysctl | undefined,
): SizeOrigin {
  const standard = sysctl?.number('net.core.rmem_default');
  const maximum = sysctl?.number('net.core.rmem_max');
  if (rcvbufBytes === undefined || standard === undefined || maximum === undefined) {
    return 'unknown';
  }
  if (rcvbufBytes === standard) return 'default';
  if (rcvbufBytes === 2 * maximum) return 'capped';
  return rcvbufBytes === BUILT_IN_DEFAULT_BYTES && standard > rcvbufBytes
    ? 'old-default'
    : 'program';
}

/** Larger buffers hide an overload instead of curing it: data is old when it is read. */
const RCVBUF_BYTES_MAX = 64 * 1024 * 1024;

/** `net.ipv4.udp_mem` is in pages; 4 KiB is the smallest page there is. */
const PAGE_BYTES = 4096;

/** A number that people can read: the next larger page of 64 KiB, the largest there is. */
const ROUND_TO_BYTES = 64 * 1024;

/**
 * A buffer that would have held the largest burst: what it holds now and what was lost, at least
 * twice its size. Undefined: no sensible buffer is that large.
 */
export function neededRcvbufBytes(
  rcvbufBytes: number,
  burstPackets: number,
  sysctl: Sysctl | undefined,
): number | undefined {
  const needed = Math.max(2 * rcvbufBytes, rcvbufBytes + burstPackets * DATAGRAM_BYTES);
  // One socket should not be able to take more than a quarter of what all may use together.
  const allUdpPages = sysctl?.numbers('net.ipv4.udp_mem')?.[2];
  const limit =
    allUdpPages === undefined
      ? RCVBUF_BYTES_MAX
      : Math.min(RCVBUF_BYTES_MAX, (allUdpPages * PAGE_BYTES) / 4);
  const rounded = Math.ceil(needed / ROUND_TO_BYTES) * ROUND_TO_BYTES;
  return rounded <= limit ? rounded : undefined;
}
