import type { DropCapture, DropCount } from '../model/drops.ts';

export interface Placed {
  /** The capture, with the drops of the namespace under diagnosis only, as far as it can be told. */
  readonly capture: DropCapture;
  /** Drops of other namespaces. */
  readonly others: readonly DropCount[];
  /** The capture itself says in which namespace each packet died (BPF); tracefs does not. */
  readonly known: boolean;
}

/**
 * Sorts drops by network namespace, where the capture knows it. A packet with neither interface nor
 * socket belongs to none; it is counted for the initial namespace, which stands for the machine.
 */
export function placeDrops(
  capture: DropCapture,
  netnsInode: number | null,
  foreign: boolean,
): Placed {
  if (netnsInode === null || capture.drops.some(({ details }) => details === undefined)) {
    return { capture, others: [], known: false };
  }
  const here = (drop: DropCount): boolean => {
    const inode = drop.details?.netns ?? null;
    return inode === null ? !foreign : inode === netnsInode;
  };
  return {
    capture: { ...capture, drops: capture.drops.filter((drop) => here(drop)) },
    others: capture.drops.filter((drop) => !here(drop)),
    known: true,
  };
}
