import type { Reading } from '../model/reading.ts';
import { prepareStateDirectory, readJournal, type JournalContents } from './journal.ts';
import { acquireLock } from './lock.ts';

/** Runs `work` as the only whydrop that changes settings. Not `ok`: nothing was touched, with the reason. */
export async function withJournal<Result>(
  stateDirectory: string,
  work: (journal: JournalContents) => Promise<Reading<Result>>,
): Promise<Reading<Result>> {
  const prepared = await prepareStateDirectory(stateDirectory);
  if (prepared.status !== 'ok') return prepared;
  const lock = await acquireLock(stateDirectory);
  if (lock.status !== 'ok') return lock;
  try {
    const journal = await readJournal(stateDirectory);
    return journal.status === 'ok' ? await work(journal.value) : journal;
  } finally {
    await lock.value.release();
  }
}

/** Entries of all sessions, oldest first. */
export function entriesOf({ sessions }: Pick<JournalContents, 'sessions'>) {
  return sessions.flatMap((session) => session.entries.map((entry) => ({ session, entry })));
}
