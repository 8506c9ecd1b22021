import type { DropCount } from '../model/drops.ts';
import type { Finding } from '../model/rule.ts';
import type { Attribution } from './attribute.ts';
import type { JudgedFinding } from './judge.ts';

/** A kind of captured drop, and who accounts for it. */
export interface ExplainedDrop {
  readonly drop: DropCount;
  /** By rule, most packets first. What they leave of `drop.packets` is unexplained. */
  readonly claims: readonly DropClaim[];
}

export interface DropClaim {
  readonly kind: Finding['kind'];
  /** Of the rule. */
  readonly id: string;
  readonly title: string;
  readonly packets: number;
}

/** The other way round than Attribution.sources: by kind of drop. */
export function explainDrops(
  drops: readonly DropCount[],
  findings: readonly JudgedFinding[],
  { sources }: Pick<Attribution, 'sources'>,
): readonly ExplainedDrop[] {
  return drops.map((drop) => {
    const claims = new Map<string, DropClaim>();
    for (const { rule, finding } of findings) {
      const { id, title } = rule;
      const packets = (sources.get(finding)?.get(drop) ?? 0) + (claims.get(id)?.packets ?? 0);
      if (packets > 0) claims.set(id, { kind: finding.kind, id, title, packets });
    }
    return { drop, claims: [...claims.values()].sort((a, b) => b.packets - a.packets) };
  });
}
