/**
 * What sockets told beside the drops (BPF only): tracepoints for losses that `skb:kfree_skb` does not show, or
 * shows without saying whose they were. Of the whole capture, so up to some milliseconds more than the
 * counters of the window.
 *
 * A table is null where the kernel lacks its tracepoint: that says nothing. A table without rows says
 * that nothing happened.
 */
export interface Companions {
  /**
   * Sockets that refused a packet: `udp:udp_fail_queue_rcv_skb` for UDP, `sock:sock_rcvqueue_full` for ping
   * sockets and the like (raw sockets only before 6.0), `sock:sock_exceed_buf_limit` for memory (`tcp_mem`).
   */
  readonly fullSockets: Tally<FullSocket> | null;
  /** `tcp:tcp_retransmit_skb`: what this host sent again, by peer. Adds up to Tcp RetransSegs, but for SYN-ACKs. */
  readonly retransmits: Tally<PeerEvents> | null;
  /** `tcp:tcp_retransmit_synack`: answers to connection requests sent again, by port of this host. */
  readonly synAckRetransmits: Tally<PeerEvents> | null;
  /**
   * `tcp:tcp_send_reset`, by port of this host. Linux 6.1 does not tell of resets for ports that nobody listens on,
   * 6.12 does: where it matters, compare with Tcp OutRsts.
   */
  readonly resetsSent: Tally<PeerEvents> | null;
  /** `tcp:tcp_receive_reset`, by peer. */
  readonly resetsReceived: Tally<PeerEvents> | null;
  /** `tcp:tcp_bad_csum`, by port of this host. */
  readonly badChecksums: Tally<PeerEvents> | null;
  /** Events that came while the same program was at work on the same CPU: missing in every table. */
  readonly missed: number;
}

export interface Tally<Row> {
  /** Most packets first. */
  readonly rows: readonly Row[];
  /** Packets that found no place when there were too many rows. Not 0: the rows are not all, `total()` still is exact. */
  readonly rest: readonly { readonly netns: number | null; readonly packets: number }[];
}

interface Counted {
  /** Inode number of the network namespace, as in DropDetails. Null: unknown. */
  readonly netns: number | null;
  readonly packets: number;
}

export interface FullSocket extends Counted {
  /** `receive-buffer`: the queue reached `rcvbufBytes`. `memory`: the limit of its protocol or control group. */
  readonly limit: 'receive-buffer' | 'memory';
  /** As /proc/net/udp has them: `udp`, `udp6`, `raw`, `raw6`, `tcp` …, or `family 29 protocol 1`. */
  readonly protocol: string;
  /** `0.0.0.0:53`, `[::1]:53`; of raw sockets the number is the IP protocol. Null: not an IP socket. */
  readonly local: string | null;
  /** Inode number: `socket:[…]` in /proc/PID/fd. Null: it belongs to no process. */
  readonly socket: number | null;
  /** `sk_rcvbuf`. */
  readonly rcvbufBytes: number;
  /** Most that waited to be read when a packet was refused, overhead included. */
  readonly queuedBytesMax: number;
}

/** Null: several, or unknown. */
export interface PeerEvents extends Counted {
  readonly local: string | null;
  readonly localPort: number | null;
  readonly remote: string | null;
  readonly remotePort: number | null;
  /** Of `packets`, those that were to open a connection. */
  readonly handshakePackets: number;
}

/** All packets of a table, with those that found no row. */
export function total<Row extends Counted>(tally: Tally<Row> | null | undefined): number {
  return [...(tally?.rows ?? []), ...(tally?.rest ?? [])].reduce(
    (sum, { packets }) => sum + packets,
    0,
  );
}
