import { performance } from 'node:perf_hooks';
import { unread, type Reading, type Unread } from '../model/reading.ts';

/** Runs a check on its own: its crash becomes a reading. Never rejects. */
export async function isolated<Value>(
  read: () => Promise<Reading<Value>>,
): Promise<Reading<Value>> {
  try {
    return await read();
  } catch (error) {
    return crash(error);
  }
}

/**
 * The same with a time limit. What comes later is lost. Only time in which this process waits counts: on a starved
 * machine an answer may be there for seconds before we come to take it.
 */
export async function within<Value>(
  timeoutMs: number,
  id: string,
  reading: Promise<Reading<Value>>,
): Promise<Reading<Value>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Unread>((resolve) => {
    const limitMs = idleMs() + timeoutMs;
    const wait = (forMs: number): void => {
      timer = setTimeout(() => {
        const leftMs = Math.ceil(limitMs - idleMs());
        if (leftMs > 0) wait(leftMs);
        else resolve(unread('timeout', `${id} did not answer within ${timeoutMs / 1000} s`));
      }, forMs);
    };
    wait(timeoutMs);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** How long the event loop had nothing to do since the program began. */
function idleMs(): number {
  return performance.eventLoopUtilization().idle;
}

export function crash(error: unknown): Unread {
  return unread('crashed', error instanceof Error ? error.message : String(error));
}
