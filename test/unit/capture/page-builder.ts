import type { KfreeSkbLayout } from '../../../src/capture/kfree-skb.ts';
import type { PageLayout } from '../../../src/capture/ring-buffer.ts';

interface Drop {
  readonly location: bigint;
  readonly protocol: number;
  readonly reason?: number;
  /** Another event than kfree_skb. */
  readonly eventId?: number;
}

/** Builds ring-buffer pages as the kernel lays them out (kernel/trace/ring_buffer.c). */
export class PageBuilder {
  readonly view: DataView;
  readonly #layout: PageLayout;
  readonly #littleEndian: boolean;
  #offset: number;

  constructor(layout: PageLayout, timestampNs: bigint, littleEndian = true) {
    this.view = new DataView(new ArrayBuffer(layout.pageBytes));
    this.#layout = layout;
    this.#littleEndian = littleEndian;
    this.#offset = layout.dataOffset;
    this.view.setBigUint64(layout.timestampOffset, timestampNs, littleEndian);
  }

  /** An event with its length in the header; `data` is padded to words. */
  event(timeDelta: number, data: Uint8Array): this {
    return this.header(Math.ceil(data.length / 4), timeDelta).#data(data);
  }

  /** type_len 0: the length stands in the word behind the header. */
  longEvent(timeDelta: number, data: Uint8Array): this {
    return this.header(0, timeDelta)
      .word(Math.ceil(data.length / 4) * 4 + 4)
      .#data(data);
  }

  discarded(timeDelta: number, dataBytes: number): this {
    return this.header(29, timeDelta)
      .word(dataBytes + 4)
      .#data(new Uint8Array(dataBytes));
  }

  timeExtend(delta: bigint): this {
    return this.#time(30, delta);
  }

  timeStamp(timeNs: bigint): this {
    return this.#time(31, timeNs);
  }

  header(typeLength: number, timeDelta: number): this {
    return this.word(
      this.#littleEndian ? (timeDelta << 5) | typeLength : (typeLength << 27) | timeDelta,
    );
  }

  word(value: number): this {
    this.view.setUint32(this.#offset, value, this.#littleEndian);
    this.#offset += 4;
    return this;
  }

  /** @param flags RB_MISSED_EVENTS and the like */
  finish(flags = 0n): DataView {
    const commit = BigInt(this.#offset - this.#layout.dataOffset) | flags;
    this.view.setBigUint64(this.#layout.commitOffset, commit, this.#littleEndian);
    return this.view;
  }

  #time(type: number, value: bigint): this {
    return this.header(type, Number(value & 0x7ffffffn)).word(Number(value >> 27n));
  }

  #data(data: Uint8Array): this {
    new Uint8Array(this.view.buffer).set(data, this.#offset);
    this.#offset += Math.ceil(data.length / 4) * 4;
    return this;
  }
}

export function dropEvent(layout: KfreeSkbLayout, drop: Drop, littleEndian = true): Uint8Array {
  const data = new DataView(new ArrayBuffer(layout.minBytes));
  data.setUint16(layout.typeOffset, drop.eventId ?? layout.eventId, littleEndian);
  if (layout.locationBytes === 8) {
    data.setBigUint64(layout.locationOffset, drop.location, littleEndian);
  } else {
    data.setUint32(layout.locationOffset, Number(drop.location), littleEndian);
  }
  data.setUint16(layout.protocolOffset, drop.protocol, littleEndian);
  if (layout.reasonOffset !== null) {
    data.setUint32(layout.reasonOffset, drop.reason ?? 0, littleEndian);
  }
  return new Uint8Array(data.buffer);
}
