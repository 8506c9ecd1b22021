import { ok, type Reading } from '../model/reading.ts';
import { entryId, type JournalEntry, type Session } from './journal.ts';
import { liveStateOf, type LiveState } from './live-state.ts';
import { describeTarget } from './netns-target.ts';
import type { SysctlStore } from './sysctl-store.ts';
import { oneLine } from './sysctl-value.ts';

/** One fix of the journal, beside what the machine says now. */
export interface ListedFix {
  /** What `whydrop undo` takes. */
  readonly id: string;
  /** ISO 8601. */
  readonly appliedAt: string;
  /** `cause-id/fix-id`. */
  readonly name: string;
  readonly causeTitle: string;
  readonly fixTitle: string;
  readonly phase: JournalEntry['phase'];
  readonly outcome: JournalEntry['outcome'];
  readonly steps: readonly ListedStep[];
  /** Keys that stand in our file of sysctl.d(5). */
  readonly persisted: readonly string[];
}

export interface ListedStep {
  readonly key: string;
  readonly where: string;
  /** Values on one line. */
  readonly before: string;
  readonly to: string;
  readonly live: Reading<string>;
  readonly state: LiveState['state'];
}

export async function listEntry(
  session: Session,
  entry: JournalEntry,
  store: SysctlStore,
): Promise<ListedFix> {
  const steps: ListedStep[] = [];
  for (const step of entry.steps) {
    const { state, live } = await liveStateOf(store, step);
    steps.push({
      key: step.key,
      where: describeTarget(step.target),
      before: oneLine(step.before),
      to: oneLine(step.became ?? step.to),
      live: live.status === 'ok' ? ok(oneLine(live.value)) : live,
      state,
    });
  }
  return {
    id: entryId(session, entry),
    appliedAt: entry.appliedAt,
    name: `${entry.cause}/${entry.fix}`,
    causeTitle: entry.causeTitle,
    fixTitle: entry.fixTitle,
    phase: entry.phase,
    outcome: entry.outcome,
    steps,
    persisted: entry.persisted.map(({ key }) => key),
  };
}
