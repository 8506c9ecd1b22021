import type { Reading } from '../model/reading.ts';
import type { FixResult } from './run.ts';

/**
 * Exit code of `whydrop fix`: 0 all verified, 1 applied but not verified, 2 failed and rolled back,
 * 3 refused. The worst result counts: 2, then 3, then 1. What the user declined or what was not needed
 * does not count, but a run that applied nothing at all is 3.
 */
export function fixExitCode(run: Reading<readonly FixResult[]>): 0 | 1 | 2 | 3 {
  if (run.status !== 'ok') return 3;
  const outcomes = new Set(run.value.map(({ outcome }) => outcome));
  if (outcomes.has('failed')) return 2;
  if (outcomes.has('refused')) return 3;
  if (outcomes.has('unverified')) return 1;
  return outcomes.has('verified') ? 0 : 3;
}
