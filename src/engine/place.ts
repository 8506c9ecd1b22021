import type { Companions, Tally } from '../model/companions.ts';
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
  if (netnsInode === null) return { capture, others: [], known: false };
  const isOurs = (netns: number | null): boolean =>
    netns === null ? !foreign : netns === netnsInode;
  const { companions } = capture;
  const ours = {
    ...capture,
    ...(companions !== undefined && { companions: placeCompanions(companions, isOurs) }),
  };
  if (capture.drops.some(({ details }) => details === undefined)) {
    return { capture: ours, others: [], known: false };
  }
  const here = (drop: DropCount): boolean => isHere(drop, netnsInode, foreign);
  return {
    capture: { ...ours, drops: capture.drops.filter((drop) => here(drop)) },
    others: capture.drops.filter((drop) => !here(drop)),
    known: true,
  };
}

/** Everything is, where nothing tells namespaces apart. */
export function isHere(
  { details }: DropCount,
  netnsInode: number | null,
  foreign: boolean,
): boolean {
  if (netnsInode === null || details === undefined) return true;
  return details.netns === null ? !foreign : details.netns === netnsInode;
}

function placeCompanions(all: Companions, isHere: (netns: number | null) => boolean): Companions {
  const here = <Row extends { readonly netns: number | null }>(
    tally: Tally<Row> | null,
  ): Tally<Row> | null =>
    tally && {
      rows: tally.rows.filter(({ netns }) => isHere(netns)),
      rest: tally.rest.filter(({ netns }) => isHere(netns)),
    };
  return {
    fullSockets: here(all.fullSockets),
    retransmits: here(all.retransmits),
    synAckRetransmits: here(all.synAckRetransmits),
    resetsSent: here(all.resetsSent),
    resetsReceived: here(all.resetsReceived),
    badChecksums: here(all.badChecksums),
    missed: all.missed,
  };
}
