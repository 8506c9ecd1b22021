import type { Hook } from '../../../checks/firewall.ts';
import type { Quantity } from './intervals.ts';

/** What is known of the packets of one flow where they met a hook. Absent: not known. */
export interface Packet {
  readonly etherType: number;
  /** Protocol in the IP header, behind one IPv6 extension header. */
  readonly ipProtocol?: number;
  readonly source?: Quantity;
  readonly destination?: Quantity;
  readonly ports?: { readonly source: number; readonly destination: number };
  readonly icmp?: { readonly type: number; readonly code: number };
  /** Of the packet, or else of its route: the one it came by until it is sent, then that by which it leaves. */
  readonly interface?: string;
  /** States its connection may have. */
  readonly ctStates: ReadonlySet<string>;
  /** What a route may call its addresses: `local`, `unicast` … */
  readonly sourceTypes: ReadonlySet<string>;
  readonly destinationTypes: ReadonlySet<string>;
}

export interface PacketAtHook extends Packet {
  readonly hook: Hook;
}
