/** Data that describes a change. Never a closure: it is shown, recorded, journalled and replayed. */
export interface Fix {
  /** Unique within its cause: `raise-backlog`. */
  readonly id: string;
  /** What it does, as an order: `Accept packets that come in by another way (loose mode) on vb`. */
  readonly title: string;
  readonly risk: Risk;
  /** What it costs: memory, latency, security, interruption. */
  readonly cost: string;
  readonly steps: readonly FixStep[];
  readonly expect?: Expectation;
  /** When the change starts to count. Sockets keep the buffer they were opened with. */
  readonly takesEffect: 'at-once' | 'new-sockets';
}

/** KNOWLEDGE.md section 4: none R0, safe R1, caution R2, disruptive R3. */
export type Risk = 'none' | 'safe' | 'caution' | 'disruptive';

export type FixStep =
  | {
      readonly kind: 'sysctl';
      /** Dotted key; a dot within an interface name is written `/` (sysctl(8)). */
      readonly key: string;
      /** The live value this advice rests on; written only if it is still so. */
      readonly from: string;
      readonly to: string;
      /** The key exists only in the initial network namespace and acts on the whole host. */
      readonly hostWide: boolean;
    }
  | {
      readonly kind: 'ethtool';
      readonly interface: string;
      /** As `ethtool -G` takes it: `rx`. */
      readonly setting: string;
      readonly from: string;
      readonly to: string;
    }
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly why: string }
  | { readonly kind: 'manual'; readonly text: string };

/** How a second measurement tells whether the fix worked. Counter names are `<check id> <counter>`. */
export interface Expectation {
  readonly counter: string;
  readonly change: 'stops-rising';
  /** A counter that shows the traffic is still there; without it a quiet line would look cured. */
  readonly traffic: string;
}
