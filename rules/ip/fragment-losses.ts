import type { Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import { EtherType, packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { dropsOf } from './evidence.ts';
import { rises } from '../protocol-counters.ts';

/** What became of the datagrams of one IP version that came in pieces. */
export interface FragmentLosses {
  readonly version: 4 | 6;
  readonly protocol: number;
  /** Given up, as fragments were missing when the time was over. */
  readonly timedOut: number;
  /** Given up as newer datagrams overtook them (`ipfrag_max_dist`), or as their pieces overlap. */
  readonly disordered: number;
  /** Fragments refused though nothing was wrong with them: no memory for more. */
  readonly refused: number;
  readonly reassembled: number;
}

/** Functions that free fragments. */
export const REASSEMBLY = [
  'ip_defrag',
  'ip_frag_queue',
  'ip_frag_reasm',
  'ipv6_frag_rcv',
  'ip6_frag_queue',
  'inet_frag_queue_insert',
  'inet_frag_destroy',
  'inet_frag_rbtree_purge',
  'ip_expire',
  'ip6_frag_expire',
  'ip6frag_expire_frag_queue',
];

/** Where a fragment that just came is freed. Those that waited have no interface any more: they are purged. */
const ARRIVAL = ['ip_defrag', 'ip_frag_queue', 'ipv6_frag_rcv', 'ip6_frag_queue'];

/**
 * ReasmFails counts timeouts, overtaken and overlapping datagrams, and fragments refused for want of
 * memory. Only the last are freed on arrival without a reason; without a capture all of the rest may be such.
 */
export function fragmentLosses(
  snmp: Sampled<Snmp>,
  drops: DropCapture | undefined,
): readonly FragmentLosses[] {
  return ([4, 6] as const).map((version) => {
    const prefix = version === 4 ? 'Ip' : 'Ip6';
    const protocol = version === 4 ? EtherType.IPv4 : EtherType.IPv6;
    const own = (name: string) => rises(snmp, [`${prefix}.${name}`]);
    const timedOut = own('ReasmTimeout');
    const fails = Math.max(0, own('ReasmFails') - timedOut);
    const overlaps = version === 4 ? rises(snmp, ['IpExt.ReasmOverlaps']) : 0;
    const onArrival =
      drops === undefined
        ? fails
        : packetsOf(
            dropsOf(drops, { reasons: ['NOT_SPECIFIED', null], locations: ARRIVAL, protocol }),
          );
    const refused = Math.max(0, Math.min(fails, onArrival) - overlaps);
    return {
      version,
      protocol,
      timedOut,
      disordered: fails - refused,
      refused,
      reassembled: own('ReasmOKs'),
    };
  });
}
