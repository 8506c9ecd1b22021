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
 * open ones, causes before benign patterns. A claim begins with the drops that fewest others claim; one that finds
 * its drops given away gets them where their owner can take others instead. What is left is unexplained; except that
 * a tracepoint sees the whole host, so where several network namespaces exist a drop that shows in none of this
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
    owners: new Map(),
  }));
  const fewestClaimsFirst = byClaims(left, findings);
  for (const { finding, claim, part } of inOrder(findings)) {
    const matching = fewestClaimsFirst.filter(({ drop }) => matches(claim, drop));
    const share: Share = { finding, part, matching };
    if (part === 'edges') {
      takeEdges(share);
    } else {
      const budget = claim.packets ?? Infinity;
      takeInExchange(budget - takeUpTo(budget, share), share);
    }
  }

  const claimed = new Map<Finding, number>();
  const sources = new Map<Finding, Map<DropCount, number>>();
  for (const { drop, owners } of left) {
    for (const [{ finding }, packets] of owners) {
      claimed.set(finding, (claimed.get(finding) ?? 0) + packets);
      const own = sources.get(finding) ?? new Map<DropCount, number>();
      sources.set(finding, own.set(drop, (own.get(drop) ?? 0) + packets));
    }
  }

  const rest = left
    .filter(({ packets }) => packets > 0)
    .map(({ drop, packets }) => ({ ...drop, packets }));
  return namespaces.several
    ? { claimed, sources, unexplained: [], elsewhere: rest }
    : { claimed, sources, unexplained: rest, elsewhere: [] };
}

/** What is still to be given away of one kind of drop, and who got how many of it. */
interface Remainder {
  readonly drop: DropCount;
  packets: number;
  edgePackets: number;
  readonly owners: Map<Share, number>;
}

/** A part of a claim, and the drops that fit it. */
interface Share {
  readonly finding: Finding;
  readonly part: Part;
  readonly matching: readonly Remainder[];
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

function takeUpTo(budget: number, share: Share): number {
  return share.matching.reduce(
    (taken, remainder) => taken + take(budget - taken, remainder, share),
    0,
  );
}

/** The counter and the events were not read at the same instant: packets of the edges may be in either. */
function takeEdges(share: Share): void {
  for (const remainder of share.matching) {
    remainder.edgePackets -= take(remainder.edgePackets, remainder, share);
  }
}

function take(budget: number, remainder: Remainder, share: Share): number {
  const packets = Math.min(remainder.packets, budget);
  remainder.packets -= packets;
  give(packets, remainder, share);
  return packets;
}

function give(packets: number, { owners }: Remainder, share: Share): void {
  const all = (owners.get(share) ?? 0) + packets;
  if (all > 0) owners.set(share, all);
  else owners.delete(share);
}

/** One gives its drops of a kind to another that wants them, and takes as many of another kind. */
interface Exchange {
  readonly taker: Share;
  readonly remainder: Remainder;
  readonly owner: Share;
}

/** Nobody loses by it: whoever gives drops away takes others that nobody had (augmenting paths of a maximum flow). */
function takeInExchange(budget: number, share: Share): void {
  let left = budget;
  while (left > 0) {
    const found = findExchanges(share);
    if (found === undefined) return;
    const { exchanges, last, free } = found;
    const owned = exchanges.map(({ remainder, owner }) => remainder.owners.get(owner) ?? 0);
    const packets = take(Math.min(left, ...owned), free, last);
    for (const { taker, remainder, owner } of exchanges) {
      give(-packets, remainder, owner);
      give(packets, remainder, taker);
    }
    left -= packets;
  }
}

/** The fewest exchanges at the end of which the last one takes drops that nobody has. */
function findExchanges(
  share: Share,
):
  | { readonly exchanges: readonly Exchange[]; readonly last: Share; readonly free: Remainder }
  | undefined {
  const ways = new Map<Share, readonly Exchange[]>([[share, []]]);
  const seen = new Set<Remainder>();
  // A Map may grow while it is walked through.
  for (const [taker, exchanges] of ways) {
    for (const remainder of taker.matching) {
      if (seen.has(remainder)) continue;
      seen.add(remainder);
      if (remainder.packets > 0) return { exchanges, last: taker, free: remainder };
      for (const owner of remainder.owners.keys()) {
        // What lies at an edge is no excuse for drops elsewhere.
        if (owner.part === 'edges' || ways.has(owner)) continue;
        ways.set(owner, [...exchanges, { taker, remainder, owner }]);
      }
    }
  }
  return undefined;
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
