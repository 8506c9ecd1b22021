import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long such work may hold up the event loop; 8 MiB of trace buffer last ten times as long in a storm. */
const TURN_MS = 30;

const turn = { spentMs: 0, endIsDue: false };

/**
 * Does a short system call at once, not in the thread pool. All who do so share 30 ms of each turn of the
 * event loop; then timers, children and the live capture have theirs.
 */
export async function inPlace<Result>(work: () => Result): Promise<Result> {
  while (turn.spentMs >= TURN_MS) await nextTurn();
  if (!turn.endIsDue) {
    turn.endIsDue = true;
    setImmediate(() => {
      turn.endIsDue = false;
      turn.spentMs = 0;
    });
  }
  const startedAt = performance.now();
  try {
    return work();
  } finally {
    turn.spentMs += performance.now() - startedAt;
  }
}
