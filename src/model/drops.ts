/** What the live capture of `skb:kfree_skb` saw in the window. */
export interface DropCapture {
  readonly backend: 'tracefs' | 'bpf';
  /** Drops counted, whole capture. */
  readonly events: number;
  /** Events the kernel's buffer lost before we could read them; every count is then a lower bound. */
  readonly lost: number;
  /** False on kernels whose tracepoint has no `reason` field: locations must carry the judgement. */
  readonly hasReasons: boolean;
  readonly drops: readonly DropCount[];
}

export interface DropCount {
  /**
   * Name of the drop reason from the running kernel's own table (`IP_RPFILTER`), never a number we know:
   * numbers move between releases. `subsystem 2 reason 5` where the kernel gives no name. Null: no such field.
   */
  readonly reason: string | null;
  /**
   * Kernel function that freed the skb, without offset and compiler suffixes (`ip_rcv_finish_core`),
   * or the raw address (`0xffffffff81234567`) where no symbol covers it.
   */
  readonly location: string;
  /** Kernel module of the location; absent for the core kernel. */
  readonly module?: string;
  /** EtherType as the skb carries it: 0x0800 IPv4, 0x86dd IPv6, 0x0806 ARP, 0x0004 LLC, 0 internal. */
  readonly protocol: number;
  readonly packets: number;
  /** Of `packets`, those seen while the first or last counters were being read. */
  readonly edgePackets: number;
}

export const EtherType = {
  IPv4: 0x0800,
  ARP: 0x0806,
  IPv6: 0x86dd,
  LLC: 0x0004,
  None: 0,
} as const;

/** Packets in a capture with this reason, and freed by this function where one is given. */
export function countDrops(
  capture: DropCapture | undefined,
  reason: string,
  location?: string,
): number {
  return (capture?.drops ?? [])
    .filter(
      (drop) => drop.reason === reason && (location === undefined || drop.location === location),
    )
    .reduce((sum, { packets }) => sum + packets, 0);
}
