/** Drops of one key. The location is still an address. */
export interface TableEntry {
  readonly locationHigh: number;
  readonly locationLow: number;
  readonly protocol: number;
  readonly reason: number;
  readonly packets: number;
  readonly edgePackets: number;
}

/**
 * Counts drops by (reason, location, protocol) in fixed memory. The sender of a packet chooses its
 * EtherType, so the number of keys is in the hands of strangers; what does not fit is counted in `overflow`.
 *
 * An open-addressing hash table over typed arrays: no allocation and no BigInt per event, because a
 * storm brings hundreds of thousands of events a second.
 */
export class DropTable {
  readonly overflow = { packets: 0, edgePackets: 0 };
  readonly #maxKeys: number;
  readonly #mask: number;
  readonly #locationHigh: Uint32Array;
  readonly #locationLow: Uint32Array;
  readonly #protocol: Uint32Array;
  readonly #reason: Uint32Array;
  /** 0: the slot is free. */
  readonly #packets: Float64Array;
  readonly #edgePackets: Float64Array;
  #keys = 0;

  constructor(maxKeys = 20_000) {
    // A power of two, at most two thirds full.
    const slots = 2 ** Math.ceil(Math.log2(maxKeys * 1.5));
    this.#maxKeys = maxKeys;
    this.#mask = slots - 1;
    this.#locationHigh = new Uint32Array(slots);
    this.#locationLow = new Uint32Array(slots);
    this.#protocol = new Uint32Array(slots);
    this.#reason = new Uint32Array(slots);
    this.#packets = new Float64Array(slots);
    this.#edgePackets = new Float64Array(slots);
  }

  /** Every part of the key is an unsigned integer of at most 32 bits; `edge` is 0 or 1. */
  add(
    locationHigh: number,
    locationLow: number,
    protocol: number,
    reason: number,
    edge: 0 | 1,
  ): void {
    let slot = hash(locationHigh, locationLow, protocol, reason) & this.#mask;
    while (this.#packets[slot] !== 0) {
      if (
        this.#locationLow[slot] === locationLow &&
        this.#reason[slot] === reason &&
        this.#protocol[slot] === protocol &&
        this.#locationHigh[slot] === locationHigh
      ) {
        this.#count(slot, edge);
        return;
      }
      slot = (slot + 1) & this.#mask;
    }
    if (this.#keys === this.#maxKeys) {
      this.overflow.packets += 1;
      this.overflow.edgePackets += edge;
      return;
    }
    this.#keys += 1;
    this.#locationHigh[slot] = locationHigh;
    this.#locationLow[slot] = locationLow;
    this.#protocol[slot] = protocol;
    this.#reason[slot] = reason;
    this.#count(slot, edge);
  }

  /** What was counted, apart from `overflow`, in no particular order. */
  entries(): readonly TableEntry[] {
    const entries: TableEntry[] = [];
    for (let slot = 0; slot <= this.#mask && entries.length < this.#keys; slot += 1) {
      const packets = this.#packets[slot] ?? 0;
      if (packets === 0) continue;
      entries.push({
        locationHigh: this.#locationHigh[slot] ?? 0,
        locationLow: this.#locationLow[slot] ?? 0,
        protocol: this.#protocol[slot] ?? 0,
        reason: this.#reason[slot] ?? 0,
        packets,
        edgePackets: this.#edgePackets[slot] ?? 0,
      });
    }
    return entries;
  }

  #count(slot: number, edge: 0 | 1): void {
    this.#packets[slot] = (this.#packets[slot] ?? 0) + 1;
    this.#edgePackets[slot] = (this.#edgePackets[slot] ?? 0) + edge;
  }
}

/** Multiplicative hash (Knuth); the upper bits, where the products mix, are folded down. */
function hash(a: number, b: number, c: number, d: number): number {
  let sum = Math.imul(b, 0x9e3779b1);
  sum = Math.imul(sum ^ a, 0x85ebca6b);
  sum = Math.imul(sum ^ c, 0xc2b2ae35);
  sum = Math.imul(sum ^ d, 0x27d4eb2f);
  return sum ^ (sum >>> 15);
}
