import type { DropCapture } from '../../src/model/drops.ts';
import { portOf } from '../sockets/details.ts';

export interface LosingSockets {
  /** Inode numbers. */
  readonly inodes: ReadonlySet<number>;
  /** One of these is the port of each; undefined: some have none that is known. */
  readonly ports: readonly string[] | undefined;
}

/** Less than this many packets is no basis for an alarm (src/engine/rank.ts), so no reason to search for an owner. */
const PACKETS_MIN = 5;

/**
 * Sockets of a namespace whose packets were dropped, as far as the capture knows them (BPF).
 *
 * @param netns inode number; null: not known, so all
 */
export function losingSockets(
  { drops, companions }: DropCapture,
  netns: number | null,
): LosingSockets {
  const packetsOf = new Map<number, number>();
  const portsOf = new Map<number, readonly string[]>();
  const add = (inode: number, packets: number, ports: readonly string[]): void => {
    packetsOf.set(inode, (packetsOf.get(inode) ?? 0) + packets);
    portsOf.set(inode, [...(portsOf.get(inode) ?? []), ...ports]);
  };
  const isHere = (inode: number | null): boolean => netns === null || inode === netns;

  for (const { details } of drops) {
    if (details === undefined || !isHere(details.netns)) continue;
    for (const { socket, packets, ports } of details.topFlows) {
      // Sent or received: one of the two is its own.
      if (socket !== undefined) add(socket, packets, Object.values(ports ?? {}).map(String));
    }
  }
  for (const { netns: of, socket, packets, local } of companions?.fullSockets?.rows ?? []) {
    if (socket !== null && isHere(of)) {
      add(socket, packets, local === null ? [] : [portOf(local)]);
    }
  }
  const inodes = [...packetsOf].filter(([, packets]) => packets >= PACKETS_MIN).map(([of]) => of);
  const ports = inodes.map((inode) => portsOf.get(inode) ?? []);
  return {
    inodes: new Set(inodes),
    ports: ports.some((own) => own.length === 0) ? undefined : ports.flat(),
  };
}
