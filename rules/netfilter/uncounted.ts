import type { Conntrack } from '../../checks/conntrack.ts';
import type { Firewall } from '../../checks/firewall.ts';
import type { Links } from '../../checks/link.ts';
import type { Snmp } from '../../checks/snmp.ts';
import type { Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { DropCapture, DropCount } from '../../src/model/drops.ts';
import type { Claim, JudgeWindow } from '../../src/model/rule.ts';
import { interfaceOf } from '../ip/evidence.ts';
import { conntrackRise } from './conntrack-rise.ts';
import { CALL_KEYS, meetsBridged } from './bridged.ts';
import { besideIp, closeGaps, fits, ipGaps } from './ip-gaps.ts';
import { addressTypes, flowsOf, type Flow, type Surroundings } from './match/flows.ts';
import type { InterfaceKind, Packet } from './match/packet.ts';
import { flowLeft, groupBySuspects, type FlowLeft, type Suspect } from './match/suspects.ts';
import { walkerOf, type Walker } from './match/walk.ts';
import {
  dropReason,
  dropSites,
  HOOK_LOCATION,
  placesOf,
  protocolsOf,
  type CountedRefuser,
  type Refusals,
  type Refuser,
} from './refusals.ts';

/** Findings for rules that do not count; what all others refused is one more. */
const NAMED_DEDUCTIONS = 10;

/** Packets that one of these must have refused, because nothing that counts did. */
export interface Deduction {
  readonly suspects: readonly Suspect[];
  readonly packets: number;
  readonly claims: readonly Claim[];
  /** What the IP layer of this namespace misses. Empty: it does not come into it. */
  readonly gaps: readonly string[];
  /** Those that were held against the rules, as far as the capture tells flows apart. Absent: none was. */
  readonly flows?: readonly Flow[];
}

interface Evidence {
  readonly firewall: Firewall;
  /** Rules that counted, without the bridged frames they met: those the IP layer does not miss. */
  readonly routed: readonly CountedRefuser[];
  readonly drops: DropCapture;
  readonly snmp: Sampled<Snmp>;
  readonly conntrack: Sampled<Conntrack> | undefined;
  readonly link: Sampled<Links> | undefined;
  readonly sysctl: Sampled<Sysctl> | undefined;
}

/**
 * Lays refused packets at the door of rules and policies without a counter: the captured drops that no
 * counter accounts for, as far as this namespace's IP layer misses packets at the hooks of such a rule, or it is a
 * rule that the IP layer does not know of. Which one of several, each flow is asked: what cannot have refused it is no
 * suspect.
 */
export function deduceUncounted(
  { counted, uncounted }: Refusals,
  { firewall, routed, drops, snmp, conntrack, link, sysctl }: Evidence,
  { severalNetns }: Pick<JudgeWindow, 'severalNetns'>,
): Deduction[] {
  const reason = dropReason(drops);
  const byConntrack = conntrackRise(conntrack, 'drop');
  const sites = dropSites(drops);
  const isRefused = (drop: DropCount) =>
    drop.reason === reason && sites.some(({ location }) => drop.location === location);
  if (uncounted.length === 0 || !drops.drops.some((drop) => isRefused(drop))) return [];

  const walker = walkerOf(firewall);
  const kindOf = (name: string) => kindOfInterface(link, name);
  const invalid = invalidPackets(conntrack);
  const possible = uncounted.filter(
    ({ entry }) =>
      (walker !== undefined && entry.backend === 'nftables') ||
      invalid !== 0 ||
      !isForInvalid(entry),
  );

  const gaps = ipGaps(snmp);
  closeGaps(gaps, byConntrack, ['prerouting', 'output'], []);
  // Those that fit few gaps first, so that the others find what is left.
  const closing = routed
    .map((refuser) => ({ ...refuser, protocols: protocolsOf(refuser) }))
    .sort((a, b) => a.hooks.length - b.hooks.length || b.protocols.length - a.protocols.length);
  for (const refuser of closing) {
    closeGaps(gaps, refuser.packets, placesOf(refuser), refuser.protocols);
  }
  const counters = counted.map((refuser) => ({ ...refuser, protocols: protocolsOf(refuser) }));

  const deductions: Deduction[] = [];
  for (const { location, backends } of sites) {
    const countersHere = counters.filter(({ entry }) => backends.includes(entry.backend));
    const suspectsHere = possible.filter(({ entry }) => backends.includes(entry.backend));
    const events = drops.drops.filter(
      (drop) => drop.location === location && drop.reason === reason,
    );
    let left = unaccounted(events, countersHere) - (location === HOOK_LOCATION ? byConntrack : 0);
    for (const protocol of new Set(events.map((drop) => drop.protocol))) {
      const ofProtocol = events.filter((drop) => drop.protocol === protocol);
      let leftOfProtocol = unaccounted(
        ofProtocol,
        countersHere.filter(({ protocols }) => protocols.length === 1 && protocols[0] === protocol),
      );
      if (left <= 0 || leftOfProtocol <= 0) continue;
      const typesOf = addressTypes(protocol, firewall.matching?.addresses);
      const flows = flowsLeft(ofProtocol, { typesOf, invalid, kindOf, severalNetns }, walker);
      // Rules for IP that do not count may then have refused what a bridge passes on.
      const isHanded =
        sysctl?.last.number(CALL_KEYS.get(protocol) ?? '') === 1 &&
        suspectsHere.some((refuser) => meetsBridged(refuser));
      const groups = groupBySuspects([
        ...gaps
          .filter((gap) => gap.protocol === protocol)
          .map((gap) => {
            const isHere = (refuser: Refuser) => fits(gap, placesOf(refuser), protocolsOf(refuser));
            return {
              gap,
              flows,
              suspects: suspectsHere.filter((refuser) => isHere(refuser)),
              counters: countersHere.filter((refuser) => isHere(refuser)),
            };
          }),
        {
          gap: besideIp(protocol),
          flows: flows.filter(({ flow }) => isBesideIp(flow.packet, isHanded)),
          suspects: suspectsHere.filter(({ entry }) => entry.backend === 'nftables'),
          counters: countersHere,
        },
      ]);
      for (const { gap, suspects, flows, matched } of groups) {
        const open = flows.filter((flow) => flow.left > 0);
        const taken = takePackets(open, Math.min(left, leftOfProtocol, gap.packets));
        const packets = [...taken.values()].reduce((sum, count) => sum + count, 0);
        if (packets === 0) continue;
        left -= packets;
        leftOfProtocol -= packets;
        gap.packets -= packets;
        deductions.push({
          suspects,
          packets,
          claims: [...taken].map(([drop, count]) => ({ ...claimOf(drop), packets: count })),
          gaps: gap.text === undefined ? [] : [gap.text],
          ...(matched && { flows: open.map(({ flow }) => flow) }),
        });
      }
    }
  }
  return joined(deductions);
}

/** The flows that the capture knows come first, busiest first. */
function flowsLeft(
  drops: readonly DropCount[],
  surroundings: Surroundings,
  walker: Walker | undefined,
): readonly FlowLeft[] {
  const isKnown = ({ flow }: Flow) => Number(flow !== undefined);
  return drops
    .flatMap((drop) => flowsOf(drop, surroundings))
    .sort((a, b) => isKnown(b) - isKnown(a) || b.packets - a.packets)
    .map((flow) => flowLeft(flow, walker));
}

/** @param isHanded bridged frames are handed to rules for IP that do not count */
function isBesideIp({ isHere, interfaceKind }: Packet, isHanded: boolean): boolean {
  return isHere && !(isHanded && (interfaceKind ?? 'bridge port') === 'bridge port');
}

function kindOfInterface(
  link: Sampled<Links> | undefined,
  name: string,
): InterfaceKind | undefined {
  const found = link?.last.interfaces.get(name);
  // Without iproute2 neither this nor its kind is known.
  if (found?.xdp === undefined) return undefined;
  if (found.portKind === 'bridge') return 'bridge port';
  return found.kind === 'bridge' ? 'bridge' : 'other';
}

/** How many were taken, by kind of drop. */
function takePackets(flows: readonly FlowLeft[], most: number): ReadonlyMap<DropCount, number> {
  const taken = new Map<DropCount, number>();
  let left = most;
  for (const each of flows) {
    const packets = Math.min(each.left, left);
    if (packets === 0) continue;
    each.left -= packets;
    left -= packets;
    taken.set(each.flow.drop, packets + (taken.get(each.flow.drop) ?? 0));
  }
  return taken;
}

function claimOf(drop: DropCount): Claim {
  const { reason, location, protocol, details } = drop;
  return {
    reason,
    location,
    protocol,
    ...interfaceOf(drop),
    ...(details !== undefined && details.ipProtocol !== null && { ipProtocol: details.ipProtocol }),
  };
}

/** One for the same suspects; all beyond the biggest few in one. */
function joined(deductions: readonly Deduction[]): Deduction[] {
  const bySuspects = joinedBy(deductions, ({ suspects, flows }) =>
    [flows !== undefined, ...suspects.map(({ entry }) => entry.key)].join('\n'),
  );
  const ranked = bySuspects.sort((a, b) => b.packets - a.packets);
  return [
    ...ranked.slice(0, NAMED_DEDUCTIONS),
    ...joinedBy(ranked.slice(NAMED_DEDUCTIONS), () => 'others'),
  ];
}

function joinedBy(
  deductions: readonly Deduction[],
  keyOf: (deduction: Deduction) => string,
): Deduction[] {
  const all = new Map<string, Deduction>();
  for (const deduction of deductions) {
    const key = keyOf(deduction);
    const one = all.get(key);
    all.set(key, one === undefined ? deduction : sumOf(one, deduction));
  }
  return [...all.values()];
}

function sumOf(a: Deduction, b: Deduction): Deduction {
  const known = new Set(a.suspects.map(({ entry }) => entry.key));
  const flows =
    a.flows === undefined || b.flows === undefined ? undefined : [...a.flows, ...b.flows];
  return {
    suspects: [...a.suspects, ...b.suspects.filter(({ entry }) => !known.has(entry.key))],
    packets: a.packets + b.packets,
    claims: [...a.claims, ...b.claims],
    gaps: [...new Set([...a.gaps, ...b.gaps])],
    ...(flows !== undefined && { flows }),
  };
}

/** ICMP errors that belong to no connection are counted as errors (nf_conntrack_handle_icmp). */
function invalidPackets(conntrack: Sampled<Conntrack> | undefined): number | undefined {
  return conntrack?.last.counters.has('invalid') === true
    ? conntrackRise(conntrack, 'invalid') + conntrackRise(conntrack, 'error')
    : undefined;
}

/** Only for packets that conntrack calls invalid, which it counts. */
function isForInvalid({ text }: Refuser['entry']): boolean {
  return /(^| )(ct state invalid|--(ct)?state INVALID)( |$)/.test(text);
}

/** Captured drops that no counter accounts for. Those at the edges of the window may be in either. */
function unaccounted(
  events: readonly DropCount[],
  counters: readonly { readonly packets: number }[],
): number {
  const captured = events.reduce((sum, drop) => sum + drop.packets - drop.edgePackets, 0);
  return counters.reduce((left, { packets }) => left - packets, captured);
}
