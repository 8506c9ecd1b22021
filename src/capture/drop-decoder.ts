import type { DropTable } from './drop-table.ts';
import type { KfreeSkbLayout } from './kfree-skb.ts';
import { decodePage, type PageLayout } from './ring-buffer.ts';
import type { Window } from './window.ts';

/** Counts the drops of ring-buffer pages into a table. */
export class DropDecoder {
  /** Drops seen. */
  events = 0;
  /** Pages that did not add up; what came before the fault was counted. */
  malformedPages = 0;
  readonly #page: PageLayout;
  readonly #event: KfreeSkbLayout;
  readonly #littleEndian: boolean;
  readonly #table: DropTable;
  readonly #window: Window;

  constructor(
    layouts: { readonly page: PageLayout; readonly event: KfreeSkbLayout },
    littleEndian: boolean,
    table: DropTable,
    window: Window,
  ) {
    this.#page = layouts.page;
    this.#event = layouts.event;
    this.#littleEndian = littleEndian;
    this.#table = table;
    this.#window = window;
  }

  /** @param bytes how much of `page` was read */
  decode(page: DataView, bytes: number): void {
    const event = this.#event;
    const littleEndian = this.#littleEndian;
    const low = event.locationOffset + (littleEndian || event.locationBytes === 4 ? 0 : 4);
    const high = event.locationOffset + (littleEndian ? 4 : 0);
    const sound = decodePage(page, bytes, this.#page, littleEndian, (timeNs, offset, length) => {
      if (length < event.minBytes) return;
      if (page.getUint16(offset + event.typeOffset, littleEndian) !== event.eventId) return;
      this.events += 1;
      this.#table.add(
        event.locationBytes === 4 ? 0 : page.getUint32(offset + high, littleEndian),
        page.getUint32(offset + low, littleEndian),
        page.getUint16(offset + event.protocolOffset, littleEndian),
        event.reasonOffset === null ? 0 : page.getUint32(offset + event.reasonOffset, littleEndian),
        this.#window.isOutside(timeNs) ? 1 : 0,
      );
    });
    if (!sound) this.malformedPages += 1;
  }
}
