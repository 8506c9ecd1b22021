import { ok, unread, type Reading } from '../model/reading.ts';
import type { FixEnvironment } from './environment.ts';
import {
  entryId,
  readJournal,
  type JournalContents,
  type JournalEntry,
  type Session,
} from './journal.ts';
import { listEntry, type ListedFix } from './listed-fix.ts';
import { sameTarget } from './netns-target.ts';
import { entriesOf, withJournal } from './open-journal.ts';
import { restoreEntry, type RestoreResult } from './restore.ts';

export interface FixListing {
  /** Oldest first, those already undone included. */
  readonly fixes: readonly ListedFix[];
  readonly damaged: JournalContents['damaged'];
}

/** What was applied, with the values of now. Changes nothing. */
export async function listFixes({
  stateDirectory,
  store,
}: Pick<FixEnvironment, 'stateDirectory' | 'store'>): Promise<Reading<FixListing>> {
  const journal = await readJournal(stateDirectory);
  if (journal.status !== 'ok') return journal;
  const fixes: ListedFix[] = [];
  for (const { session, entry } of entriesOf(journal.value)) {
    fixes.push(await listEntry(session, entry, store));
  }
  return ok({ fixes, damaged: journal.value.damaged });
}

export interface UndoResult extends RestoreResult {
  readonly id: string;
  /** `cause-id/fix-id`. */
  readonly name: string;
  /** A later fix of ours has changed the same setting: undo that first. */
  readonly undoFirst?: string;
}

/**
 * Puts old values back, the newest fix first.
 *
 * @param id a fix (`20261121-230000.1`), a whole run (`20261121-230000`), or null for everything
 * @param force also where somebody else changed the setting since
 * @returns not `ok`: nothing was touched, with the reason
 */
export async function undoFixes(
  environment: FixEnvironment,
  id: string | null,
  force = false,
): Promise<Reading<readonly UndoResult[]>> {
  return await withJournal(environment.stateDirectory, async (journal) => {
    const chosen = entriesOf(journal).filter(
      ({ session, entry }) => id === null || id === session.id || id === entryId(session, entry),
    );
    if (id !== null && chosen.length === 0) {
      return unread('absent', `there is no fix ${id}: 'whydrop undo' lists them`);
    }
    const results: UndoResult[] = [];
    for (const { session, entry } of chosen.toReversed()) {
      if (entry.phase === 'restored') continue;
      const { sessions } = journal;
      const restored = await restoreEntry(session, entry, environment, { force, sessions });
      const later = restored.complete ? undefined : laterFix(sessions, entry);
      results.push({
        ...restored,
        id: entryId(session, entry),
        name: `${entry.cause}/${entry.fix}`,
        ...(later !== undefined && { undoFirst: later }),
      });
    }
    return ok(results);
  });
}

/** The newest fix after `entry` that changed one of its settings and is still in place, if any. */
function laterFix(sessions: readonly Session[], entry: JournalEntry): string | undefined {
  const all = entriesOf({ sessions });
  const own = all.findIndex((other) => other.entry === entry);
  const later = all
    .slice(own + 1)
    .findLast(
      ({ entry: { phase, steps } }) =>
        phase !== 'restored' &&
        steps.some((step) =>
          entry.steps.some(
            ({ key, target }) => key === step.key && sameTarget(target, step.target),
          ),
        ),
    );
  return later === undefined ? undefined : entryId(later.session, later.entry);
}
