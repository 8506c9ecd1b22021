/**
 * The moments at which a killed whydrop must leave a state that the next start can put right.
 * In the order in which a fix that fails its verification passes them; a fix that is kept passes
 * `persist-…` and `kept` instead of `restore-…`, and `whydrop undo` starts at `restore-journalled`.
 */
export const CHECKPOINTS = [
  /** The journal names every old value; nothing is written yet. */
  'journalled',
  /** About to write one step. */
  'before-write',
  /** The kernel has the new value, the journal does not know. */
  'written',
  /** The journal knows what the value became. */
  'recorded',
  /** All steps are written; the second measurement starts. */
  'applied',
  /** Measured, not yet judged. */
  'measured',
  /** The journal knows which lines will stand in the drop-in. */
  'persist-journalled',
  'persist-written',
  /** The fix stays. */
  'kept',
  /** The journal knows that old values are coming back; none is written yet. */
  'restore-journalled',
  /** One old value is back, the journal does not know. */
  'restore-written',
  /** One step and its side effects are back, and the journal knows. */
  'restore-recorded',
  'drop-in-removed',
  /** Everything is back. */
  'restored',
] as const;

export type Checkpoint = (typeof CHECKPOINTS)[number];
