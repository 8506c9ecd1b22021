import type { PeerEvents } from '../../src/model/companions.ts';
import type { DropCapture } from '../../src/model/drops.ts';

/**
 * Other machines that this host sent segments to again, most packets first; undefined where that is not known (no
 * BPF capture, or more peers than there was place for). Connections of the host to itself are left out.
 */
export function retransmitsByPeer(
  drops: DropCapture | undefined,
): readonly RemotePeer[] | undefined {
  const tally = drops?.companions?.retransmits ?? undefined;
  if (tally === undefined || tally.rest.length > 0) return undefined;
  return tally.rows.filter((row): row is RemotePeer => row.remote !== null && !isOwn(row));
}

export type RemotePeer = PeerEvents & { readonly remote: string };

function isOwn({ local, remote }: PeerEvents): boolean {
  return remote === local || remote === '::1' || remote?.startsWith('127.') === true;
}

/** Port that the peer offers its service at, as far as can be told. Null: it is a client of ours, or has several. */
export function servicePortOf({ localPort, remotePort }: RemotePeer): number | null {
  // Of a single connection both are known: clients have the higher number, as a rule.
  return localPort === null || (remotePort !== null && remotePort < localPort) ? remotePort : null;
}

/** `10.0.0.2:443`; `10.0.0.2 (port 443 here)` for a client of ours; just the address where ports differ. */
export function nameOfPeer(peer: RemotePeer): string {
  const { remote, localPort } = peer;
  const port = servicePortOf(peer);
  if (port !== null) return remote.includes(':') ? `[${remote}]:${port}` : `${remote}:${port}`;
  return localPort === null ? remote : `${remote} (port ${localPort} here)`;
}
