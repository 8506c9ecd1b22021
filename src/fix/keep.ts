import { saveOrWarn } from './apply.ts';
import { changeDropIn, dropInPath, notPersisted, persistWarnings } from './drop-in.ts';
import type { FixEnvironment } from './environment.ts';
import { entryId, type JournalEntry, type Session } from './journal.ts';
import type { Outcome } from './judge.ts';
import { oneLine } from './sysctl-value.ts';

/** Lets a fix stay. @param persist also over a reboot, by lines in our file of sysctl.d(5) */
export async function keepEntry(
  session: Session,
  entry: JournalEntry,
  environment: FixEnvironment,
  { outcome, persist }: { readonly outcome: Outcome; readonly persist: boolean },
): Promise<void> {
  entry.outcome = outcome;
  if (persist) await persistEntry(session, entry, environment);
  entry.phase = 'kept';
  await saveOrWarn(session, environment);
  environment.checkpoint('kept');
}

async function persistEntry(
  session: Session,
  entry: JournalEntry,
  environment: FixEnvironment,
): Promise<void> {
  const { observe, checkpoint, root } = environment;
  for (const { key, target } of entry.steps) {
    if (target.kind !== 'initial') observe({ type: 'warning', text: notPersisted(key) });
  }
  entry.persisted = entry.steps
    .filter(({ target }) => target.kind === 'initial')
    .map(({ key, to }) => ({ key, value: oneLine(to) }));
  if (entry.persisted.length === 0) return;
  await saveOrWarn(session, environment);
  checkpoint('persist-journalled');

  const note = persistNote(session, entry);
  const changed = await changeDropIn(
    root,
    entry.persisted.map((line) => ({ ...line, note })),
  );
  checkpoint('persist-written');
  if (changed.status !== 'ok') {
    entry.persisted = [];
    observe({ type: 'warning', text: `not made permanent: ${changed.reason}` });
    return;
  }
  const keys = entry.persisted.map(({ key }) => key);
  observe({ type: 'persisted', file: dropInPath(root), keys });
  for (const key of keys) {
    for (const text of await persistWarnings(root, key)) observe({ type: 'warning', text });
  }
}

/** The comment above a persisted line. */
export function persistNote(session: Session, entry: JournalEntry): string {
  return `${entryId(session, entry)}: ${entry.cause}/${entry.fix}`;
}
