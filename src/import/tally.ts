import type {
  Destination,
  ImportedDrop,
  InterfaceHistory,
  UnresolvedDrop,
} from '../model/import-report.ts';
import { EtherType } from '../model/drops.ts';
import type { Place } from './place.ts';

/** One drop, or several alike, as a tool printed them. */
export interface SeenDrop {
  readonly packets: number;
  readonly place: Place;
  readonly reason?: string;
  /** EtherType. */
  readonly protocol?: number;
  readonly interface?: string;
  readonly destination?: Destination;
  readonly hardware?: true;
}

/** Drops of one kind: what is judged together. */
export interface DropKind extends Omit<ImportedDrop, 'interfaces' | 'destinations'> {
  readonly interfaces: ReadonlyMap<string, number>;
  readonly destinations: ReadonlyMap<string, Destination & { packets: number }>;
  readonly hardware: boolean;
}

/** Text of any size may come: what is told apart is bounded, what is counted is not. */
const MAX_KINDS = 5000;
const MAX_NAMES = 1000;

/** Adds up what the parsers find. */
export class Tally {
  readonly #kinds = new Map<string, GrowingKind>();
  readonly #unresolved = new Map<string, UnresolvedDrop>();
  readonly #interfaces = new Map<string, Readings>();
  #first = Infinity;
  #last = -Infinity;
  /** Drops of more kinds than are kept apart. */
  uncounted = 0;

  add(drop: SeenDrop): void {
    const { place, reason = 'NOT_SPECIFIED', protocol } = drop;
    if (place.kind === 'function') this.#addKind(drop, place.location, place.module);
    // The reason, or that it is no packet of a network, says more than a function would.
    else if (reason !== 'NOT_SPECIFIED' || protocol === EtherType.None) {
      this.#addKind(drop, place.address);
    } else this.#addUnresolved(drop, place);
  }

  #addKind(drop: SeenDrop, location: string, module?: string): void {
    const reason = drop.reason ?? null;
    const protocol = drop.protocol ?? null;
    const hardware = drop.hardware === true;
    const key = [reason, location, module, protocol, hardware].join(' ');
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      if (this.#kinds.size >= MAX_KINDS) {
        this.uncounted += drop.packets;
        return;
      }
      const counts = { packets: 0, interfaces: new Map(), destinations: new Map() };
      kind = {
        reason,
        location,
        ...(module !== undefined && { module }),
        protocol,
        hardware,
        ...counts,
      };
      this.#kinds.set(key, kind);
    }
    kind.packets += drop.packets;
    countIn(kind.interfaces, drop.interface, drop.packets);
    countDestination(kind.destinations, drop);
  }

  #addUnresolved(
    { packets }: SeenDrop,
    { address, area, refuted }: Extract<Place, { kind: 'address' }>,
  ): void {
    const known = this.#unresolved.get(address);
    if (known === undefined && this.#unresolved.size >= MAX_KINDS) this.uncounted += packets;
    else {
      this.#unresolved.set(address, {
        address,
        area,
        ...(refuted !== undefined && { refuted }),
        packets: (known?.packets ?? 0) + packets,
      });
    }
  }

  /** A time stamp of a drop, in seconds of any clock. */
  at(seconds: number): void {
    this.#first = Math.min(this.#first, seconds);
    this.#last = Math.max(this.#last, seconds);
  }

  /** Null: not even two time stamps. */
  get seconds(): number | null {
    return this.#last > this.#first ? this.#last - this.#first : null;
  }

  /** Counters of an interface. The first and the last reading of each are kept. */
  read(totals: InterfaceTotals): void {
    const known = this.#interfaces.get(totals.interface);
    if (known === undefined && this.#interfaces.size >= MAX_KINDS) return;
    this.#interfaces.set(totals.interface, { first: known?.first ?? totals, last: totals });
  }

  get kinds(): readonly DropKind[] {
    return [...this.#kinds.values()].sort((a, b) => b.packets - a.packets);
  }

  get unresolved(): readonly UnresolvedDrop[] {
    return [...this.#unresolved.values()].sort((a, b) => b.packets - a.packets);
  }

  get history(): readonly InterfaceHistory[] {
    return [...this.#interfaces.values()].map(({ first, last }) => {
      const rise = first === last ? undefined : riseOf(first, last);
      return rise === undefined ? last : { ...last, rise };
    });
  }
}

export type InterfaceTotals = Omit<InterfaceHistory, 'rise'>;

interface Readings {
  readonly first: InterfaceTotals;
  readonly last: InterfaceTotals;
}

/** Undefined: a counter went down, so the readings are not of one machine in this order. */
function riseOf(first: InterfaceTotals, last: InterfaceTotals): InterfaceHistory['rise'] {
  const of = (direction: 'rx' | 'tx') => {
    const [a, b] = [first[direction], last[direction]];
    return {
      packets: b.packets - a.packets,
      errors: b.errors - a.errors,
      dropped: b.dropped - a.dropped,
      overruns: a.overruns === null || b.overruns === null ? null : b.overruns - a.overruns,
    };
  };
  const rise = { rx: of('rx'), tx: of('tx') };
  const values = [rise.rx, rise.tx].flatMap((counters) => Object.values(counters));
  return values.some((value) => value !== null && value < 0) ? undefined : rise;
}

type GrowingKind = Omit<DropKind, 'packets' | 'interfaces' | 'destinations'> & {
  packets: number;
  readonly interfaces: Map<string, number>;
  readonly destinations: Map<string, Destination & { packets: number }>;
};

function countIn(names: Map<string, number>, name: string | undefined, packets: number): void {
  if (name === undefined || (!names.has(name) && names.size >= MAX_NAMES)) return;
  names.set(name, (names.get(name) ?? 0) + packets);
}

function countDestination(
  destinations: GrowingKind['destinations'],
  { destination, packets }: SeenDrop,
): void {
  if (destination === undefined) return;
  const key = Object.values(destination).join(' ');
  const known = destinations.get(key);
  if (known !== undefined) known.packets += packets;
  else if (destinations.size < MAX_NAMES) destinations.set(key, { ...destination, packets });
}
