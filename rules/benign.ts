import drops from '../checks/drops.ts';
import type { DropCapture } from '../src/model/drops.ts';
import { defineRule, type Claim, type Explanation } from '../src/model/rule.ts';

interface Benign {
  readonly id: string;
  readonly title: string;
  readonly reviewed: string;
  /** Why it is harmless, in one sentence. */
  readonly text: string;
  readonly claims: readonly Claim[];
  readonly explain: Explanation;
}

/**
 * A rule that only explains: packets freed on a drop path though nothing is wrong, whatever the counters
 * say. It finds no fault, so where drops cannot be watched it is not missed: it wants them, no more.
 */
export function defineBenign({ text, claims, ...rule }: Benign) {
  return defineRule({
    ...rule,
    needs: {},
    wants: { drops },
    judge: () => [{ kind: 'benign', text, claims }],
  });
}

/** Which drops, of those whose reason the kernel does not tell: by itself, that says nothing. */
export interface Unspecified {
  readonly location: readonly string[];
  readonly protocol?: readonly number[];
  /** At most so many. */
  readonly packets?: number;
}

/** Claims what these functions free without a reason: NOT_SPECIFIED, or no reason field at all. */
export function unspecified(which: Unspecified): readonly Claim[] {
  return [{ reason: 'NOT_SPECIFIED', ...which }, withoutReasons(which)];
}

/** The same only on kernels that have no reasons: there one function stands for many of them. */
export function withoutReasons(which: Unspecified): Claim {
  return { reason: null, ...which };
}

/** Captured drops with one of these reasons. */
export function countReasons({ drops }: DropCapture, reasons: readonly string[]): number {
  return drops
    .filter(({ reason }) => reason !== null && reasons.includes(reason))
    .reduce((sum, { packets }) => sum + packets, 0);
}

/** Captured drops at these functions without a reason. */
export function countUnspecified({ drops }: DropCapture, locations: readonly string[]): number {
  return drops
    .filter(({ reason }) => reason === null || reason === 'NOT_SPECIFIED')
    .filter(({ location }) => locations.includes(location))
    .reduce((sum, { packets }) => sum + packets, 0);
}
