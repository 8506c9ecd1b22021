import type { DropCapture, DropCount } from '../model/drops.ts';
import type { Claim, Confidence, Finding } from '../model/rule.ts';
import type { JudgedFinding } from './judge.ts';

export interface Attribution {
  /** Captured drops each finding accounts for. */
  readonly claimed: ReadonlyMap<Finding, number>;
  /** Drops nobody claims, that happened here as far as we know. */
  readonly unexplained: readonly DropCount[];
  /** Drops that cannot be placed in the namespace under diagnosis. */
  readonly elsewhere: readonly DropCount[];
}

const CONFIDENCE_ORDER: readonly Confidence[] = ['certain', 'likely', 'possible'];

/**
 * Gives every captured drop to exactly one finding: the surest first, claims of a known number before
 * open ones, causes before benign patterns. What is left is unexplained; except that a tracepoint
 * sees the whole host, so where several network namespaces exist a drop that shows in none of this
 * one's counters cannot be called this one's.
 */
export function attribute(
  findings: readonly JudgedFinding[],
  capture: DropCapture | undefined,
  namespaces: { readonly several: boolean },
): Attribution {
  const left = (capture?.drops ?? []).map((drop) => ({
    drop,
    packets: drop.packets,
    elsewhere: 0,
  }));
  const claimed = new Map<Finding, number>();
  const claims = findings
    .flatMap(({ finding }) => finding.claims.map((claim) => ({ finding, claim })))
    .sort((a, b) => order(a.finding, a.claim) - order(b.finding, b.claim));

  for (const { finding, claim } of claims) {
    const matching = left.filter(({ drop }) => matches(claim, drop));
    // The counter and the events were not read at the same instant: packets of the edges may be in either.
    const edge = matching.reduce((sum, { drop }) => sum + drop.edgePackets, 0);
    let budget = claim.packets === undefined ? Infinity : claim.packets + edge;
    for (const entry of matching) {
      const taken = Math.min(entry.packets, budget);
      entry.packets -= taken;
      budget -= taken;
      claimed.set(finding, (claimed.get(finding) ?? 0) + taken);
    }
  }
  if (namespaces.several) {
    for (const entry of left) {
      entry.elsewhere = entry.packets;
      entry.packets = 0;
    }
  }
  return {
    claimed,
    unexplained: left
      .filter(({ packets }) => packets > 0)
      .map(({ drop, packets }) => ({ ...drop, packets })),
    elsewhere: left
      .filter(({ elsewhere }) => elsewhere > 0)
      .map(({ drop, elsewhere }) => ({ ...drop, packets: elsewhere })),
  };
}

function order(finding: Finding, claim: Claim): number {
  const certainty =
    finding.kind === 'benign'
      ? CONFIDENCE_ORDER.length
      : CONFIDENCE_ORDER.indexOf(finding.confidence);
  return certainty * 2 + (claim.packets === undefined ? 1 : 0);
}

function matches(claim: Claim, drop: DropCount): boolean {
  return (
    among(claim.reason, drop.reason) &&
    among(claim.location, drop.location) &&
    among(claim.protocol, drop.protocol)
  );
}

function among<Value>(wanted: Value | readonly Value[] | undefined, value: Value): boolean {
  if (wanted === undefined) return true;
  return Array.isArray(wanted) ? wanted.includes(value) : wanted === value;
}
