import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long reads in place may hold up the event loop: meanwhile nobody empties the live capture. */
const TURN_MS = 8;

let turnEndsAt: number | undefined;

/**
 * To be awaited before each system call that is made in place. All who do so share one turn of the
 * event loop of 8 ms; then timers, children and the live capture have theirs.
 */
export async function turn(): Promise<void> {
  for (;;) {
    if (turnEndsAt === undefined) {
      turnEndsAt = performance.now() + TURN_MS;
      setImmediate(() => {
        turnEndsAt = undefined;
      });
    }
    if (performance.now() < turnEndsAt) return;
    await nextTurn();
  }
}
