import type { Place } from './places.ts';
import type { Quantity } from './intervals.ts';

/** What is known of the packets of one flow where they met a hook. Absent: not known. */
export interface Packet {
  readonly etherType: number;
  /** Protocol in the IP header, behind one IPv6 extension header. */
  readonly ipProtocol?: number;
  /** IP addresses; those inside an ARP packet. */
  readonly source?: Quantity;
  readonly destination?: Quantity;
  readonly ports?: { readonly source: number; readonly destination: number };
  readonly icmp?: { readonly type: number; readonly code: number };
  readonly arpOperation?: number;
  /** MAC addresses: of what is neither IP nor ARP. */
  readonly macs?: { readonly source: number; readonly destination: number };
  /** Of the tag beside the packet; 0: it has none, or one without an id. */
  readonly vlan?: number;
  /** Of the packet, or else of its route: the one it came by until it is sent, then that by which it leaves. */
  readonly interface?: string;
  readonly interfaceKind?: InterfaceKind;
  /** It was in this namespace: the capture tells, or there is no other. */
  readonly isHere: boolean;
  /** States its connection may have. */
  readonly ctStates: ReadonlySet<string>;
  /** What a route may call its addresses: `local`, `unicast` … */
  readonly sourceTypes: ReadonlySet<string>;
  readonly destinationTypes: ReadonlySet<string>;
}

export type InterfaceKind = 'bridge' | 'bridge port' | 'other';

export interface PacketAtHook extends Packet {
  readonly place: Place;
}
