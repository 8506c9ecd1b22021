import type { Statement } from '../../../checks/firewall.ts';
import type { Gap } from '../ip-gaps.ts';
import type { CountedRefuser, UncountedRefuser } from '../refusals.ts';
import { placesOf, type Flow } from './flows.ts';
import type { Place } from './places.ts';
import type { Candidate, Walker } from './walk.ts';

export interface Suspect extends UncountedRefuser {
  /** What the capture does not tell of the packets, and it would take to be sure. */
  readonly undecided: readonly Statement[];
}

/** A flow, of whose packets so many are not laid at anybody's door yet. */
export interface FlowLeft {
  readonly flow: Flow;
  readonly places: readonly Place[];
  /** Who may have refused it, anywhere. Undefined: it was not held against the rules. */
  readonly candidates: readonly Candidate[] | undefined;
  left: number;
}

/** Flows with the same suspects in the same gap. */
export interface Group {
  readonly gap: Gap;
  readonly suspects: readonly Suspect[];
  readonly flows: readonly FlowLeft[];
  /** They were held against the rules. If not, the suspects are all that there are. */
  readonly matched: boolean;
}

interface GapWithFlows {
  readonly gap: Gap;
  /** That may have got lost in it. */
  readonly flows: readonly FlowLeft[];
  /** That may have refused packets in the gap without counting them. */
  readonly suspects: readonly UncountedRefuser[];
  /** That counted packets. */
  readonly counters: readonly CountedRefuser[];
}

/** Each flow is held against the rules once, wherever it can have been. */
export function flowLeft(flow: Flow, walker: Walker | undefined): FlowLeft {
  const places = placesOf(flow.packet);
  return { flow, places, candidates: walker?.(flow.packet, places), left: flow.packets };
}

/**
 * Sorts flows by who can have refused them. Left out are those that a rule with a counter refused, and those that
 * never came by there. Where most is known comes first.
 */
export function groupBySuspects(gaps: readonly GapWithFlows[]): readonly Group[] {
  return gaps
    .flatMap((gap) => groupsOf(gap))
    .sort(
      (a, b) =>
        Number(b.matched) - Number(a.matched) ||
        Number(a.counted) - Number(b.counted) ||
        Number(a.elsewhere) - Number(b.elsewhere) ||
        a.suspects.length - b.suspects.length,
    );
}

function groupsOf(gap: GapWithFlows): readonly (Group & Refusal)[] {
  const groups = new Map<string, Refusal & { readonly flows: FlowLeft[] }>();
  for (const each of gap.flows) {
    const refusal = refusalOf(each, gap);
    const { matched, counted, elsewhere, suspects } = refusal;
    if (suspects.length === 0) continue;
    const keys = suspects.map(({ entry }) => entry.key);
    const key = [matched, counted, elsewhere, ...keys].join('\n');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ...refusal, flows: [each] });
    else group.flows.push(each);
  }
  return [...groups.values()].map((group) => ({ ...group, gap: gap.gap }));
}

interface Refusal extends Pick<Group, 'suspects' | 'matched'> {
  /** A rule with a counter may have refused them as well. */
  readonly counted: boolean;
  /** So may rules outside of the gap. */
  readonly elsewhere: boolean;
}

const NOBODY: Refusal = { suspects: [], matched: true, counted: false, elsewhere: false };

function refusalOf(
  { places, candidates }: FlowLeft,
  { gap, suspects, counters }: GapWithFlows,
): Refusal {
  if (!gap.places.some((place) => places.includes(place))) return NOBODY;
  const here = candidates?.filter(({ place }) => gap.places.includes(place));
  const isCounted = gap.text !== undefined;
  const keys = new Set(here?.map(({ entry }) => entry.key));
  if (!isCounted && !suspects.some(({ entry }) => keys.has(entry.key))) return NOBODY;
  // Where no counter says that it got lost there, rules elsewhere stay suspects.
  const asked = isCounted ? here : candidates;
  // Of two ways to a rule, the one of which more is known.
  const undecided = new Map(
    asked
      ?.toSorted((a, b) => b.undecided.length - a.undecided.length)
      .map(({ entry, undecided }) => [entry.key, undecided]),
  );
  // Rules of iptables all count: of those we know no more than that.
  const isPossible = ({ entry }: UncountedRefuser | CountedRefuser) =>
    entry.backend !== 'nftables' || undecided.has(entry.key);
  const possible = suspects.filter((suspect) => isPossible(suspect));
  const counted = counters.some((counter) => isPossible(counter));
  const elsewhere = (candidates?.length ?? 0) > (here?.length ?? 0);
  // No rule can have refused them, but one did: the rules were others meanwhile, or we misread them.
  const matched = candidates !== undefined && (counted || elsewhere || possible.length > 0);
  return {
    suspects: (matched ? possible : suspects).map((suspect) => ({
      ...suspect,
      undecided: undecided.get(suspect.entry.key) ?? [],
    })),
    matched,
    counted,
    elsewhere,
  };
}
