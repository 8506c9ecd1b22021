import type { Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import { EtherType, packetsOf, type DropCapture, type DropCount } from '../../src/model/drops.ts';
import type {
  CauseFinding,
  Claim,
  Finding,
  JudgeWindow,
  Observation,
  Severity,
} from '../../src/model/rule.ts';
import { lostInward } from '../netfilter/ip-gaps.ts';
import { rises } from '../protocol-counters.ts';

/**
 * What scanners, traceroute and late packets make on a healthy host, which the healthy workloads of the lab stay below:
 * one mtr sends a packet a second for each hop, a scan some. More is not called harmless.
 */
const STRAY_PACKETS_PER_SECOND = 5;

export function areStray(packets: number, { seconds }: JudgeWindow): boolean {
  return packets <= STRAY_PACKETS_PER_SECOND * seconds;
}

/**
 * Too few for an alarm: explained, counted, no more. Claims of a reason with one meaning get what a
 * counter may have missed at the edges of the window.
 */
export function strays(
  text: string,
  claims: readonly Claim[],
  { seconds }: JudgeWindow,
): readonly Finding[] {
  const atLeast = (claim: Claim): Claim =>
    claim.packets === undefined || claim.reason === null || claim.reason === 'NOT_SPECIFIED'
      ? claim
      : {
          ...claim,
          packets: Math.max(claim.packets, Math.floor(STRAY_PACKETS_PER_SECOND * seconds)),
        };
  return [{ kind: 'benign', text, claims: claims.map(atLeast) }];
}

/** For a claim of drops of that interface; of any, where the capture does not tell. */
export function interfaceOf({ details }: DropCount): Pick<Claim, 'interface'> {
  return details === undefined || details.interface === null
    ? {}
    : { interface: details.interface };
}

/** Drops as evidence; nothing if none were seen. */
export function seen(packets: number, what: string): readonly Observation[] {
  return packets === 0 ? [] : [{ source: 'skb:kfree_skb', text: `${packets} drops ${what}` }];
}

export function receivedPackets(snmp: Sampled<Snmp>): NonNullable<CauseFinding['traffic']> {
  const packets = rises(snmp, ['Ip.InReceives', 'Ip6.InReceives']);
  return { packets, what: 'IP packets received' };
}

export function sentPackets(snmp: Sampled<Snmp>): NonNullable<CauseFinding['traffic']> {
  const packets = rises(snmp, ['Ip.OutRequests', 'Ip6.OutRequests']);
  return { packets, what: 'IP packets sent or forwarded' };
}

/** Which drops: as a claim, with lists only. Null: of kernels without reasons. */
interface Kind {
  readonly reasons: readonly (string | null)[];
  readonly locations?: readonly string[];
  readonly protocol?: number;
}

export function dropsOf(
  capture: DropCapture | undefined,
  { reasons, locations, protocol }: Kind,
): readonly DropCount[] {
  return (capture?.drops ?? []).filter(
    (drop) =>
      reasons.includes(drop.reason) &&
      (locations === undefined || locations.includes(drop.location)) &&
      (protocol === undefined || protocol === drop.protocol),
  );
}

/**
 * How many of these drops, which no counter shows, died here. A capture that does not tell
 * namespaces may have seen those of others: no more than vanished in this IP layer are ours.
 */
export function diedHere(
  drops: readonly DropCount[],
  snmp: Sampled<Snmp>,
  { severalNetns }: JudgeWindow,
): number {
  if (!severalNetns) return packetsOf(drops);
  return [EtherType.IPv4, EtherType.IPv6].reduce<number>((sum, protocol) => {
    const ofProtocol = packetsOf(drops.filter((drop) => drop.protocol === protocol));
    return sum + Math.min(ofProtocol, lostInward(snmp, protocol));
  }, 0);
}

/**
 * How sure a cause may be that is known by its drops alone: where these may be of another namespace, what
 * vanished here is no more than a hint.
 */
export function knownByDrops({
  severalNetns,
}: JudgeWindow): Pick<CauseFinding, 'confidence'> & { readonly most: Severity } {
  return severalNetns
    ? { confidence: 'possible', most: 'notice' }
    : { confidence: 'certain', most: 'warning' };
}
