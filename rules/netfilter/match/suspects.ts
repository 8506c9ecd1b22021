import type { Hook, Statement } from '../../../checks/firewall.ts';
import type { CountedRefuser, UncountedRefuser } from '../refusals.ts';
import { hooksOf, type Flow } from './flows.ts';
import type { Walker } from './walk.ts';

export interface Suspect extends UncountedRefuser {
  /** What the capture does not tell of the packets, and it would take to be sure. */
  readonly undecided: readonly Statement[];
}

/** A flow, of whose packets so many are not laid at anybody's door yet. */
export interface FlowLeft {
  readonly flow: Flow;
  left: number;
}

/** Flows with the same suspects. */
export interface Group {
  readonly suspects: readonly Suspect[];
  readonly flows: readonly FlowLeft[];
  /** They were held against the rules. If not, the suspects are all that there are. */
  readonly matched: boolean;
}

interface Refusers {
  readonly hooks: readonly Hook[];
  /** That may have refused packets at these hooks without counting them. */
  readonly suspects: readonly UncountedRefuser[];
  /** That counted packets. */
  readonly counters: readonly CountedRefuser[];
  readonly walker: Walker | undefined;
}

/**
 * Sorts flows by who can have refused them. Left out are those that a rule with a counter refused, and those that
 * never came by these hooks. Where most is known comes first.
 */
export function groupBySuspects(flows: readonly FlowLeft[], refusers: Refusers): readonly Group[] {
  const groups = new Map<string, Refusal & { readonly flows: FlowLeft[] }>();
  for (const each of flows) {
    if (each.left === 0) continue;
    const refusal = refusalOf(each.flow, refusers);
    const { matched, counted, suspects } = refusal;
    if (suspects.length === 0) continue;
    const key = [matched, counted, ...suspects.map(({ entry }) => entry.key)].join('\n');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ...refusal, flows: [each] });
    else group.flows.push(each);
  }
  return [...groups.values()].sort(
    (a, b) =>
      Number(b.matched) - Number(a.matched) ||
      Number(a.counted) - Number(b.counted) ||
      a.suspects.length - b.suspects.length,
  );
}

interface Refusal extends Pick<Group, 'suspects' | 'matched'> {
  /** A rule with a counter may have refused them as well. */
  readonly counted: boolean;
}

function refusalOf({ packet }: Flow, { hooks, suspects, counters, walker }: Refusers): Refusal {
  const hooksMet = hooks.filter((hook) => hooksOf(packet).includes(hook));
  if (hooksMet.length === 0) return { suspects: [], matched: true, counted: false };
  const candidates = walker?.(packet, hooksMet);
  const undecided = new Map(candidates?.map(({ entry, undecided }) => [entry.key, undecided]));
  // Rules of iptables all count: of those we know no more than that.
  const isPossible = ({ entry }: UncountedRefuser | CountedRefuser) =>
    entry.backend !== 'nftables' || undecided.has(entry.key);
  const possible = suspects.filter((suspect) => isPossible(suspect));
  const counted = counters.some((counter) => isPossible(counter));
  // No rule can have refused them, but one did: the rules were others meanwhile, or we misread them.
  const matched = candidates !== undefined && (counted || possible.length > 0);
  return {
    suspects: (matched ? possible : suspects).map((suspect) => ({
      ...suspect,
      undecided: undecided.get(suspect.entry.key) ?? [],
    })),
    matched,
    counted,
  };
}
