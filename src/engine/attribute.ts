import type { DropCapture, DropCount, DropDetails } from '../model/drops.ts';
import type { Claim, Confidence, Finding } from '../model/rule.ts';
import type { JudgedFinding } from './judge.ts';

export interface Attribution {
  /** Captured drops each finding accounts for. */
  readonly claimed: ReadonlyMap<Finding, number>;
  /** Which kinds of drop those were, and how many of each. */
  readonly sources: ReadonlyMap<Finding, ReadonlyMap<DropCount, number>>;
  /** Drops nobody claims, that happened here as far as we know. */
  readonly unexplained: readonly DropCount[];
  /** Drops that cannot be placed in the namespace under diagnosis. */
  readonly elsewhere: readonly DropCount[];
}

/**
 * Gives every captured drop to exactly one finding: the surest first, claims of a known number before
 * open ones, causes before benign patterns. A claim of a known number begins with the drops that fewest others
 * claim, so that these find what is theirs. What is left is unexplained; except that a tracepoint
 * sees the whole host, so where several network namespaces exist a drop that shows in none of this
 * one's counters cannot be called this one's.
 */
export function attribute(
  findings: readonly JudgedFinding[],
  capture: DropCapture | undefined,
  namespaces: { readonly several: boolean },
): Attribution {
  const left = (capture?.drops ?? []).map((drop): Remainder => ({
    drop,
    packets: drop.packets,
    edgePackets: drop.edgePackets,
  }));
  const fewestClaimsFirst = byClaims(left, findings);
  const claimed = new Map<Finding, number>();
  const sources = new Map<Finding, Map<DropCount, number>>();
  for (const { finding, claim, part } of inOrder(findings)) {
    const matching = fewestClaimsFirst.filter(({ drop }) => matches(claim, drop));
    const before = matching.map(({ packets }) => packets);
    claimed.set(finding, (claimed.get(finding) ?? 0) + take[part](matching, claim.packets));
    const own = sources.get(finding) ?? new Map<DropCount, number>();
    sources.set(finding, own);
    for (const [index, { drop, packets }] of matching.entries()) {
      const taken = (before[index] ?? packets) - packets;
      if (taken > 0) own.set(drop, (own.get(drop) ?? 0) + taken);
    }
  }

  const rest = left
    .filter(({ packets }) => packets > 0)
    .map(({ drop, packets }) => ({ ...drop, packets }));
  return namespaces.several
    ? { claimed, sources, unexplained: [], elsewhere: rest }
    : { claimed, sources, unexplained: rest, elsewhere: [] };
}

/** What is still to be given away of one kind of drop. */
interface Remainder {
  readonly drop: DropCount;
  packets: number;
  edgePackets: number;
}

function byClaims(
  left: readonly Remainder[],
  findings: readonly JudgedFinding[],
): readonly Remainder[] {
  const claims = findings.flatMap(({ finding }) => finding.claims);
  const counts = new Map(
    left.map(({ drop }) => [drop, claims.filter((claim) => matches(claim, drop)).length]),
  );
  return [...left].sort((a, b) => (counts.get(a.drop) ?? 0) - (counts.get(b.drop) ?? 0));
}

/** `counted`: as many as a counter says. `edges`: what it may have missed. `open`: all that match. */
type Part = 'counted' | 'edges' | 'open';
const PARTS: readonly Part[] = ['counted', 'edges', 'open'];
const CONFIDENCES: readonly Confidence[] = ['certain', 'likely', 'possible'];

interface PartOfClaim {
  readonly finding: Finding;
  readonly claim: Claim;
  readonly part: Part;
}

function inOrder(findings: readonly JudgedFinding[]): readonly PartOfClaim[] {
  return findings
    .flatMap(({ finding }) =>
      finding.claims.flatMap((claim) =>
        partsOf(claim).map((part): PartOfClaim => ({ finding, claim, part })),
      ),
    )
    .sort((a, b) => order(a) - order(b));
}

function partsOf({ packets }: Claim): readonly Part[] {
  if (packets === undefined) return ['open'];
  return packets > 0 ? ['counted', 'edges'] : [];
}

function order({ finding, part }: PartOfClaim): number {
  const certainty =
    finding.kind === 'cause' ? CONFIDENCES.indexOf(finding.confidence) : CONFIDENCES.length;
  return certainty * PARTS.length + PARTS.indexOf(part);
}

/** Each takes what it may from the drops that match, and returns how many. */
const take: Readonly<
  Record<Part, (matching: readonly Remainder[], packets: number | undefined) => number>
> = {
  counted: (matching, packets) => takeUpTo(packets ?? 0, matching),
  // The counter and the events were not read at the same instant: packets of the edges may be in either.
  edges: (matching) =>
    matching.reduce((sum, remainder) => {
      const taken = takeUpTo(remainder.edgePackets, [remainder]);
      remainder.edgePackets -= taken;
      return sum + taken;
    }, 0),
  open: (matching) => takeUpTo(Infinity, matching),
};

function takeUpTo(budget: number, matching: readonly Remainder[]): number {
  let taken = 0;
  for (const remainder of matching) {
    const packets = Math.min(remainder.packets, budget - taken);
    remainder.packets -= packets;
    taken += packets;
  }
  return taken;
}

function matches(claim: Claim, drop: DropCount): boolean {
  return (
    among(claim.reason, drop.reason) &&
    among(claim.location, drop.location) &&
    among(claim.protocol, drop.protocol) &&
    matchesDetails(claim, drop.details)
  );
}

function matchesDetails(claim: Claim, details: DropDetails | undefined): boolean {
  if (details === undefined) return true;
  return (
    (details.interface === null || among(claim.interface, details.interface)) &&
    among(claim.ipProtocol, details.ipProtocol) &&
    (details.stack.length === 0 ||
      claim.caller === undefined ||
      details.stack.some((caller) => among(claim.caller, caller)))
  );
}

function among<Value>(wanted: Value | readonly Value[] | undefined, value: Value): boolean {
  if (wanted === undefined) return true;
  return Array.isArray(wanted) ? wanted.includes(value) : wanted === value;
}
