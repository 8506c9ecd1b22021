import type { Reading } from '../model/reading.ts';
import type { JournalStep } from './journal.ts';
import type { SysctlStore } from './sysctl-store.ts';
import { sameValue } from './sysctl-value.ts';

/**
 * What a journalled setting is now:
 *
 * - `original`: as before the fix
 * - `changed`: as the fix left it
 * - `foreign`: neither; somebody else set it (or the kernel rounded a value and we were killed before
 *   reading it back)
 * - `gone`: there is no such setting any more
 * - `unread`: could not be read
 */
export interface LiveState {
  readonly state: 'original' | 'changed' | 'foreign' | 'gone' | 'unread';
  readonly live: Reading<string>;
}

export async function liveStateOf(
  store: SysctlStore,
  { key, target, before, to, became }: JournalStep,
): Promise<LiveState> {
  const live = await store.read(key, target);
  if (live.status === 'absent') return { state: 'gone', live };
  if (live.status !== 'ok') return { state: 'unread', live };
  if (sameValue(key, live.value, before)) return { state: 'original', live };
  return { state: sameValue(key, live.value, became ?? to) ? 'changed' : 'foreign', live };
}
