import type { Links } from '../../checks/link.ts';
import type { SettledLink } from './device-drops.ts';

export interface WaitingPort extends SettledLink {
  /** Of the bond; undefined when that is not in view. */
  readonly mode: string | undefined;
}

/** Ports of bonds that are not to receive now. */
export function waitingPorts(
  links: readonly SettledLink[],
  { interfaces }: Links,
): readonly WaitingPort[] {
  return links
    .filter(({ now }) => now.portKind === 'bond' && now.portState === 'BACKUP')
    .map((port) => ({ ...port, mode: interfaces.get(port.now.master ?? '')?.bondMode }));
}
