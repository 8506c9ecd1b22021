import type { Links } from '../checks/link.ts';
import type { Sampled } from '../src/model/check.ts';
import { rise } from '../src/model/counter.ts';

export interface LinkRise {
  readonly name: string;
  readonly packets: number;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Interfaces whose `rx_dropped` rose in the window, the worst first. What the core drops for want of a
 * protocol handler or queue space counts there, so it tells in which namespace that happened.
 */
export function rxDroppedRises(link: Sampled<Links> | undefined): readonly LinkRise[] {
  if (link === undefined) return [];
  return [...link.last.interfaces]
    .map(([name, { rxDropped: last }]) => {
      const first = link.first.interfaces.get(name)?.rxDropped;
      return { name, packets: rise(first, last), first: first ?? 0n, last };
    })
    .filter(({ packets }) => packets > 0)
    .sort((a, b) => b.packets - a.packets);
}

export function rxDroppedTotal(link: Sampled<Links> | undefined): number {
  return rxDroppedRises(link).reduce((sum, { packets }) => sum + packets, 0);
}
