import type { Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import { EtherType, packetsOf, type DropCapture } from '../../src/model/drops.ts';
import { dropsOf } from './evidence.ts';
import { rises } from '../protocol-counters.ts';

/** Where packets are passed on; an error in their header there means that their hops are used up. */
export const FORWARD = ['ip_forward', 'ip6_forward', 'ip6_mc_input'];

export interface HeaderErrors {
  /** Hops used up. */
  readonly expired: number;
  /** Malformed, without wrong checksums and truncated packets. */
  readonly malformed: number;
}

const versions = [
  {
    protocol: EtherType.IPv4,
    errors: 'Ip.InHdrErrors',
    checksums: 'IpExt.InCsumErrors',
    tooBig: 'Ip.FragFails',
    told: 'Icmp.OutTimeExcds',
    reassembly: 'Ip.ReasmTimeout',
  },
  {
    protocol: EtherType.IPv6,
    errors: 'Ip6.InHdrErrors',
    // IPv6 headers have none.
    checksums: '',
    tooBig: 'Ip6.InTooBigErrors',
    told: 'Icmp6.OutTimeExcds',
    reassembly: 'Ip6.ReasmTimeout',
  },
] as const;

/**
 * InHdrErrors counts two things: bad headers, and packets whose hops are used up (ip_forward,
 * ip6_forward). The drop events tell them apart; without them the answers to the senders, which are limited
 * in rate, and which late fragments get as well.
 */
export function splitHeaderErrors(
  snmp: Sampled<Snmp>,
  capture: DropCapture | undefined,
): readonly (HeaderErrors & { readonly protocol: number })[] {
  return versions.map(({ protocol, errors, checksums, tooBig, told, reassembly }) => {
    const both = Math.max(0, rises(snmp, [errors]) - rises(snmp, [checksums]));
    const candidates =
      capture === undefined
        ? Math.max(0, rises(snmp, [told]) - rises(snmp, [reassembly]))
        : capture.hasReasons
          ? packetsOf(dropsOf(capture, { reasons: ['IP_INHDR'], locations: FORWARD, protocol }))
          : packetsOf(dropsOf(capture, { reasons: [null], locations: FORWARD, protocol })) -
            rises(snmp, [tooBig]);
    const expired = Math.min(both, Math.max(0, candidates));
    return { protocol, expired, malformed: both - expired };
  });
}
