import { stat } from 'node:fs/promises';

import { ok, unread, type Reading } from '../model/reading.ts';
import { saveOrWarn, writeSteps } from './apply.ts';
import type { FixEnvironment } from './environment.ts';
import { entryId, type JournalContents, type JournalEntry, type Session } from './journal.ts';
import { keepEntry } from './keep.ts';
import { listEntry, type ListedFix } from './listed-fix.ts';
import { entriesOf, withJournal } from './open-journal.ts';
import { restoreEntry, type RestoreResult } from './restore.ts';

/** A fix that a killed run left half-way. */
export interface UnfinishedFix extends ListedFix {
  /** What can be done about it; `finish` keeps the fix, unverified. */
  readonly choices: readonly ('finish' | 'restore')[];
}

/**
 * Fixes left half-way by a run that was killed, judged by the journal and the live values. Those
 * of which nothing is left on the machine are closed silently.
 *
 * @returns not `ok`: another whydrop is at work, or the journal cannot be read
 */
export async function findUnfinished(
  environment: FixEnvironment,
): Promise<Reading<readonly UnfinishedFix[]>> {
  const { stateDirectory } = environment;
  // Nothing was ever fixed here: do not make the directory just to look.
  if (!(await exists(stateDirectory))) return ok([]);
  return await withJournal(stateDirectory, async (journal) =>
    ok(await closeSettled(journal, environment)),
  );
}

/**
 * Finishes or restores one fix that findUnfinished returned. A fix that cannot be finished (the value is
 * somebody else's now) is restored as far as it is ours.
 *
 * @param force restore also values that somebody else set since
 * @returns what was put back, or undefined: the fix stays
 */
export async function resolveUnfinished(
  environment: FixEnvironment,
  id: string,
  choice: 'finish' | 'restore',
  force = false,
): Promise<Reading<RestoreResult | undefined>> {
  return await withJournal(environment.stateDirectory, async (journal) => {
    const found = entriesOf(journal).find(
      ({ session, entry }) => entryId(session, entry) === id && isUnfinished(entry),
    );
    if (found === undefined) return unread('absent', `${id} is not an unfinished fix`);
    const { session, entry } = found;
    if (choice === 'finish' && entry.phase !== 'restoring') {
      const problem = await finish(session, entry, environment);
      if (problem === undefined) return ok(undefined);
      environment.observe({ type: 'warning', text: problem });
    }
    const { sessions } = journal;
    return ok(await restoreEntry(session, entry, environment, { force, sessions }));
  });
}

/** Closes what left nothing behind; returns the rest. */
export async function closeSettled(
  journal: JournalContents,
  environment: FixEnvironment,
): Promise<readonly UnfinishedFix[]> {
  const unfinished: UnfinishedFix[] = [];
  for (const { session, entry } of entriesOf(journal).filter(({ entry }) => isUnfinished(entry))) {
    const listed = await listEntry(session, entry, environment.store);
    if (isSettled(entry, listed)) {
      entry.phase = 'restored';
      for (const step of entry.steps) step.state = 'restored';
      await saveOrWarn(session, environment);
    } else {
      const choices =
        entry.phase === 'restoring' ? (['restore'] as const) : (['finish', 'restore'] as const);
      unfinished.push({ ...listed, choices });
    }
  }
  return unfinished;
}

/** One sentence for a run that has to be put right first. */
export function describeUnfinished(unfinished: readonly UnfinishedFix[]): string {
  const ids = unfinished.map(({ id }) => id).join(', ');
  return `an earlier run was interrupted while it changed settings (${ids}): finish or undo that first`;
}

/** @returns why it cannot be finished, if so */
async function finish(
  session: Session,
  entry: JournalEntry,
  environment: FixEnvironment,
): Promise<string | undefined> {
  const stop = await writeSteps(session, entry, environment);
  if (stop !== undefined) return stop.reason;
  await keepEntry(session, entry, environment, {
    outcome: entry.outcome ?? 'unverified',
    persist: entry.persisted.length > 0,
  });
  return undefined;
}

function isUnfinished({ phase }: JournalEntry): boolean {
  return phase === 'applying' || phase === 'measuring' || phase === 'restoring';
}

/** Every value is as before the fix (or gone), and nothing of it can stand anywhere else. */
function isSettled(entry: JournalEntry, { steps }: ListedFix): boolean {
  const untouched = entry.steps.every(
    ({ state, sideEffects }) => sideEffects.length === 0 || state === 'planned',
  );
  return (
    entry.phase !== 'restoring' &&
    entry.persisted.length === 0 &&
    untouched &&
    steps.every(({ state }) => state === 'original' || state === 'gone')
  );
}

async function exists(directory: string): Promise<boolean> {
  return await stat(directory).then(
    () => true,
    () => false,
  );
}
