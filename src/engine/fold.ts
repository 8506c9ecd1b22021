import type { ReportCause } from '../model/report.ts';
import type { CauseFinding, Scope } from '../model/rule.ts';
import { byImpact, worst } from './rank.ts';

/** A cause before it has its place in the report. */
export type UnrankedCause = Omit<ReportCause, 'rank' | 'packetsPerSecond' | 'share'> &
  Pick<CauseFinding, 'countedAgain'>;

/**
 * Puts consequences under their root cause, and the roots in order of impact. A root answers for what
 * follows from it: the packets of its consequences are added to its own, unless they are the same ones, and
 * it is as severe as the worst of them, so that no loss gets lost. What happened on another interface stands for itself.
 * @param originsOf ids of the causes that the one of this id is a consequence of
 */
export function fold(
  causes: readonly UnrankedCause[],
  originsOf: (id: string) => readonly string[],
): readonly UnrankedCause[] {
  const ranked = [...causes].sort(byImpact);
  const followers = new Map<UnrankedCause, UnrankedCause[]>(ranked.map((cause) => [cause, []]));
  for (const cause of ranked) {
    const root = rootOf(cause, ranked, originsOf);
    if (root === cause) continue;
    followers.get(root)?.push(cause);
    followers.delete(cause);
  }
  return [...followers].map(([root, folded]) => withConsequences(root, folded)).sort(byImpact);
}

/** Follows the chain up to a cause that is nobody's consequence here; rules in a circle fold nothing. */
function rootOf(
  cause: UnrankedCause,
  ranked: readonly UnrankedCause[],
  originsOf: (id: string) => readonly string[],
): UnrankedCause {
  const passed = new Set<UnrankedCause>();
  let root = cause;
  for (;;) {
    passed.add(root);
    const origins = originsOf(root.id);
    const origin = ranked.find(
      ({ id, scope }) => origins.includes(id) && !isApart(scope, root.scope),
    );
    if (origin === undefined) return root;
    if (passed.has(origin)) return cause;
    root = origin;
  }
}

/** A dead link does not keep a neighbour on another one from answering. */
function isApart(a: Scope, b: Scope): boolean {
  return a.interface !== undefined && b.interface !== undefined && a.interface !== b.interface;
}

function withConsequences(root: UnrankedCause, folded: readonly UnrankedCause[]): UnrankedCause {
  return {
    ...root,
    severity: worst([root, ...folded].map(({ severity }) => severity)),
    packets: folded.reduce(
      (sum, { packets, countedAgain }) => sum + (countedAgain === true ? 0 : packets),
      root.packets,
    ),
    consequences: folded.map(({ id, title, packets, means }) => ({ id, title, packets, means })),
  };
}
