import type { Links } from '../../checks/link.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { settledLinks, type SettledLink } from './device-drops.ts';

/** Interfaces that belonged to a bridge and were up all through the window. */
export function bridgePorts(link: Sampled<Links>): readonly SettledLink[] {
  return settledLinks(link).filter(({ now }) => now.portKind === 'bridge');
}

/**
 * What came in there. A bridge counts none of what it drops, so this is the bound where the capture sees
 * the drops of other namespaces, too.
 */
export function receivedBy(ports: readonly SettledLink[]): number {
  return ports.reduce((sum, { before, now }) => sum + rise(before.rxPackets, now.rxPackets), 0);
}
