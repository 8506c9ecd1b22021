import type { Conntrack } from '../../checks/conntrack.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';

/** How far a counter of `conntrack -S` rose in the window. */
export function conntrackRise(conntrack: Sampled<Conntrack> | undefined, name: string): number {
  return rise(conntrack?.first.counters.get(name), conntrack?.last.counters.get(name), 32);
}
