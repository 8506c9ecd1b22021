import type { SocketOwner } from '../../src/model/drops.ts';

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
  readonly process?: SocketOwner;
  /** Of cgroup2: `/system.slice/ssh.service`. Absent on kernels before 5.7, and where ss does not find it. */
  readonly cgroup?: string;
}

export type SocketTable = 'udp' | 'udp6' | 'raw' | 'raw6';

/** @param inode as the kernel prints it; `0`: none */
export function keyOf(
  protocol: SocketTable,
  local: string,
  peer: string | null,
  inode: string,
): string {
  return inode === '0' ? `${protocol} ${local} ${peer ?? '*'}` : inode;
}
