import type { Conntrack } from '../../checks/conntrack.ts';
import type { Snmp } from '../../checks/snmp.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { DropCapture, DropCount } from '../../src/model/drops.ts';
import type { Claim } from '../../src/model/rule.ts';
import { conntrackRise } from './conntrack-rise.ts';
import { closeGaps, fits, ipGaps } from './ip-gaps.ts';
import {
  dropReason,
  dropSites,
  HOOK_LOCATION,
  ipHooksOf,
  protocolsOf,
  type Refusals,
  type UncountedRefuser,
} from './refusals.ts';

/** Packets that one of these must have refused, because nothing that counts did. */
export interface Deduction {
  readonly suspects: readonly UncountedRefuser[];
  readonly packets: number;
  readonly claims: readonly Claim[];
  /** What the IP layer of this namespace misses. */
  readonly gaps: readonly string[];
}

interface Evidence {
  readonly drops: DropCapture;
  readonly snmp: Sampled<Snmp>;
  readonly conntrack: Sampled<Conntrack> | undefined;
}

/**
 * Lays refused packets at the door of rules and policies without a counter: the captured drops that no
 * counter accounts for, as far as this namespace's IP layer misses packets at the hooks of such a rule.
 */
export function deduceUncounted(
  { counted, uncounted }: Refusals,
  { drops, snmp, conntrack }: Evidence,
): Deduction[] {
  const reason = dropReason(drops);
  const byConntrack = conntrackRise(conntrack, 'drop');
  const possible = uncounted.filter((refuser) => couldMatch(refuser, conntrack));

  const gaps = ipGaps(snmp);
  closeGaps(gaps, byConntrack, ['prerouting', 'output'], []);
  // Those that fit few gaps first, so that the others find what is left.
  const counters = counted
    .map((refuser) => ({ ...refuser, protocols: protocolsOf(refuser) }))
    .sort((a, b) => a.hooks.length - b.hooks.length || b.protocols.length - a.protocols.length);
  for (const refuser of counters) {
    closeGaps(gaps, refuser.packets, ipHooksOf(refuser), refuser.protocols);
  }

  const deductions = new Map<string, Deduction>();
  for (const { location, backends } of dropSites(drops)) {
    const countersHere = counters.filter(({ entry }) => backends.includes(entry.backend));
    const suspectsHere = possible.filter(({ entry }) => backends.includes(entry.backend));
    const events = drops.drops.filter(
      (drop) => drop.location === location && drop.reason === reason,
    );
    let left = unaccounted(events, countersHere) - (location === HOOK_LOCATION ? byConntrack : 0);
    for (const protocol of new Set(gaps.map((gap) => gap.protocol))) {
      let leftOfProtocol = unaccounted(
        events.filter((drop) => drop.protocol === protocol),
        countersHere.filter(({ protocols }) => protocols.length === 1 && protocols[0] === protocol),
      );
      for (const gap of gaps.filter((gap) => gap.protocol === protocol)) {
        const suspects = suspectsHere.filter((refuser) =>
          fits(gap, ipHooksOf(refuser), protocolsOf(refuser)),
        );
        const packets = Math.min(left, leftOfProtocol, gap.packets);
        if (suspects.length === 0 || packets <= 0) continue;
        left -= packets;
        leftOfProtocol -= packets;
        const key = suspects.map(({ entry }) => entry.key).join('\n');
        const sofar = deductions.get(key);
        deductions.set(key, {
          suspects,
          packets: packets + (sofar?.packets ?? 0),
          claims: [...(sofar?.claims ?? []), { reason, location, protocol, packets }],
          gaps: [...(sofar?.gaps ?? []), gap.text],
        });
      }
    }
  }
  return [...deductions.values()].sort((a, b) => b.packets - a.packets);
}

/** A rule for packets that conntrack calls invalid cannot have refused any when it called none so. */
function couldMatch(
  { entry }: UncountedRefuser,
  conntrack: Sampled<Conntrack> | undefined,
): boolean {
  const wantsInvalid = /(^| )(ct state invalid|--(ct)?state INVALID)( |$)/.test(entry.text);
  return !(
    wantsInvalid &&
    conntrack?.last.counters.has('invalid') === true &&
    conntrackRise(conntrack, 'invalid') === 0
  );
}

/** Captured drops that no counter accounts for. Those at the edges of the window may be in either. */
function unaccounted(
  events: readonly DropCount[],
  counters: readonly { readonly packets: number }[],
): number {
  const captured = events.reduce((sum, drop) => sum + drop.packets - drop.edgePackets, 0);
  return counters.reduce((left, { packets }) => left - packets, captured);
}
