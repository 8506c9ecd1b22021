import type { DropCount } from '../model/drops.ts';
import type { DropTable, TableEntry } from './drop-table.ts';
import type { KfreeSkbLayout } from './kfree-skb.ts';
import { reasonName } from './reasons.ts';
import type { Location } from './symbols.ts';

/** The location of a table entry as /proc/kallsyms would print it: hexadecimal, without `0x`. */
export function addressText(entry: TableEntry, layout: KfreeSkbLayout): string {
  const low = entry.locationLow.toString(16).padStart(8, '0');
  if (layout.locationBytes === 4) return low;
  return entry.locationHigh.toString(16).padStart(8, '0') + low;
}

/**
 * Names what was counted. Addresses of one function become one entry. Ordered by packets, most first.
 *
 * @param locations by addressText()
 */
export function dropCounts(
  table: DropTable,
  layout: KfreeSkbLayout,
  locations: ReadonlyMap<string, Location>,
): readonly DropCount[] {
  const drops: DropCount[] = [];
  for (const entry of table.entries()) {
    const address = addressText(entry, layout);
    drops.push({
      reason: layout.reasonOffset === null ? null : reasonName(entry.reason, layout.reasonNames),
      ...(locations.get(address) ?? { location: `0x${address}` }),
      protocol: entry.protocol,
      packets: entry.packets,
      edgePackets: entry.edgePackets,
    });
  }
  if (table.overflow.packets > 0) {
    const reason = layout.reasonOffset === null ? null : 'other';
    drops.push({ reason, location: 'other', protocol: 0, ...table.overflow });
  }
  return mergeDrops(drops);
}

/** Adds up entries of equal reason, function and protocol. */
export function mergeDrops(drops: Iterable<DropCount>): readonly DropCount[] {
  const merged = new Map<string, DropCount>();
  for (const drop of drops) {
    const key = JSON.stringify([drop.reason, drop.location, drop.module, drop.protocol]);
    const same = merged.get(key);
    merged.set(key, {
      ...drop,
      packets: drop.packets + (same?.packets ?? 0),
      edgePackets: drop.edgePackets + (same?.edgePackets ?? 0),
    });
  }
  return [...merged.values()].sort((a, b) => b.packets - a.packets);
}
