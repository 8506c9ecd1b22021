import {
  EtherType,
  IPPROTO_TCP,
  packetsOf,
  type DropCapture,
  type DropCount,
} from '../../src/model/drops.ts';
import { REASONS as ENDS } from './tcp-reset-noise.ts';
import { REASONS as REPEATED } from './tcp-sequence-noise.ts';

/** Freed on a drop path, but nothing for which a peer or this host would send again. */
const NO_LOSS: ReadonlySet<string> = new Set([
  ...REPEATED,
  ...ENDS,
  'TCP_ABORT_ON_DATA',
  'NO_SOCKET',
  'QUEUE_PURGE',
  'SOCKET_CLOSE',
  'PACKET_SOCK_ERROR',
  'OTHERHOST',
]);
/** Without a reason, these only clear away what a connection leaves behind. */
const CLEARING = /^_*(?:tcp|sk|skb|inet)_/;

/**
 * Drops on this host that may have been of TCP segments, and so may be why segments were sent again. With the
 * BPF capture of this namespace and of TCP only; through tracefs of the whole machine and of all IP packets.
 */
function segmentDrops({ drops }: DropCapture): readonly DropCount[] {
  return drops.filter(({ reason, location, protocol, details }) => {
    if (protocol !== EtherType.IPv4 && protocol !== EtherType.IPv6) return false;
    const { ipProtocol = null } = details ?? {};
    if (ipProtocol !== null && ipProtocol !== IPPROTO_TCP) return false;
    return reason === null || reason === 'NOT_SPECIFIED'
      ? !CLEARING.test(location)
      : !NO_LOSS.has(reason);
  });
}

/**
 * The most segments to or from a peer that can have been dropped on this host. Drops whose addresses are not known
 * count for every peer.
 *
 * @param peer IP address; undefined: all peers together
 */
export function droppedHere(capture: DropCapture, peer?: string): number {
  return segmentDrops(capture).reduce((sum, { packets, details }) => {
    if (peer === undefined || details === undefined) return sum + packets;
    const ofPeer = details.topFlows.filter(
      ({ source, destination }) => source === peer || destination === peer,
    );
    const unknown = Math.max(0, packets - packetsOf(details.topFlows));
    return sum + Math.min(packets, packetsOf(ofPeer) + unknown);
  }, 0);
}
