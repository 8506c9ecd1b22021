import type { Companions } from './companions.ts';

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
  /** Drops that a selection of namespace or interface left out, as far as counted (BPF). Not in `events`. */
  readonly unselected?: number;
  /** Drops of other network namespaces, where the capture tells and one is under diagnosis. Not in `drops`. */
  readonly others?: readonly DropCount[];
  /** What would have been a better capture, and why it was not possible. Absent: nothing. */
  readonly unavailable?: readonly { readonly backend: string; readonly reason: string }[];
  /** What sockets told beside the drops (BPF). */
  readonly companions?: Companions;
  /**
   * Processes that own sockets of flows and companions, by inode number: of this network namespace, and only of
   * sockets that lost some packets (checks/drops.ts asks for them). The first one where several share a socket.
   */
  readonly owners?: ReadonlyMap<number, SocketOwner>;
  /** Control groups of the same sockets: `/system.slice/ssh.service`. */
  readonly cgroups?: ReadonlyMap<number, string>;
}

export interface SocketOwner {
  readonly pid: number;
  /** Untrusted: a process chooses its name. */
  readonly name: string;
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
  /** EtherType as the skb carries it: 0x0800 IPv4, 0x86dd IPv6, 0x0806 ARP, 0x0004 LLC, 0 internal, 0xffff several. */
  readonly protocol: number;
  readonly packets: number;
  /** Of `packets`, those seen while the first or last counters were being read. */
  readonly edgePackets: number;
  /** What only the BPF capture knows; absent in others. */
  readonly details?: DropDetails;
}

/** Whose packets they were. Kinds of drop that differ in any of the first four are counted apart. */
export interface DropDetails {
  /**
   * Inode number of the network namespace (`ls -L -i /run/netns/NAME`), of the packet's interface or else its socket.
   * Null: the packet had neither, or too many kinds of drop were seen to tell them apart.
   */
  readonly netns: number | null;
  /** Number of the interface in that namespace. Null: none, or unknown, as for `netns`. */
  readonly ifindex: number | null;
  /** Name the interface had then; untrusted. Null: unknown. */
  readonly interface: string | null;
  /** Protocol in the IP header, behind one IPv6 extension header. Null: not IP, or not readable. */
  readonly ipProtocol: number | null;
  /** Flows with the most packets, most first; at most `maxTopFlows`. */
  readonly topFlows: readonly DropFlow[];
  /** How many flows were told apart: a lower bound if `flowsApproximate`. */
  readonly flowCount: number;
  /** There were too many packets or flows to look at each: counts of flows are estimates. Those of drops are exact. */
  readonly flowsApproximate: boolean;
  /** A few of the packets, the first ones that came. */
  readonly samples: readonly DropSample[];
  /** Kernel functions that led to the first such drop, innermost (`location`) first. Empty: not seen. */
  readonly stack: readonly string[];
}

export const maxTopFlows = 10;

export interface DropFlow {
  /** IP address; of ARP the one inside; the MAC address of what is neither. */
  readonly source: string;
  readonly destination: string;
  /** Of TCP, UDP, SCTP and DCCP, except in later fragments. */
  readonly ports?: { readonly source: number; readonly destination: number };
  readonly icmp?: { readonly type: number; readonly code: number };
  /** 1 request, 2 reply. */
  readonly arpOperation?: number;
  /** Id of the tag beside the packet, where the kernel keeps it; a tag for which there is no device is gone by then. */
  readonly vlan?: number;
  readonly packets: number;
  /** Inode number of the socket that should have received, or had sent it: `socket:[…]` in /proc/PID/fd. */
  readonly socket?: number;
}

export interface DropSample {
  /** Microseconds since 1970. */
  readonly timeUs: number;
  /** What `bytes` start with. */
  readonly link: 'ethernet' | 'network';
  /** Of the packet, from where `bytes` start. */
  readonly length: number;
  /** As in DropFlow. */
  readonly vlan?: number;
  /** The first 128 or fewer, in base64. */
  readonly bytes: string;
}

export const EtherType = {
  IPv4: 0x0800,
  ARP: 0x0806,
  IPv6: 0x86dd,
  LLC: 0x0004,
  None: 0,
} as const;

/** `ipProtocol` of TCP. */
export const IPPROTO_TCP = 6;

/** How many they are together. */
export function packetsOf(parts: readonly { readonly packets: number }[]): number {
  return parts.reduce((sum, { packets }) => sum + packets, 0);
}

/** Packets in a capture with this reason, and freed by this function where one is given. */
export function countDrops(
  capture: DropCapture | undefined,
  reason: string,
  location?: string,
): number {
  return packetsOf(
    (capture?.drops ?? []).filter(
      (drop) => drop.reason === reason && (location === undefined || drop.location === location),
    ),
  );
}
