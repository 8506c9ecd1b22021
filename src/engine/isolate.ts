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

/** The same with a time limit. What comes later is lost. */
export async function within<Value>(
  timeoutMs: number,
  id: string,
  reading: Promise<Reading<Value>>,
): Promise<Reading<Value>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Unread>((resolve) => {
    timer = setTimeout(() => {
      resolve(unread('timeout', `${id} did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function crash(error: unknown): Unread {
  return unread('crashed', error instanceof Error ? error.message : String(error));
}
