import type { FixEnvironment } from './environment.ts';
import { changeDropIn } from './drop-in.ts';
import type { StepRestore } from './events.ts';
import {
  saveSession,
  type JournalEntry,
  type JournalSideEffect,
  type JournalStep,
  type Session,
} from './journal.ts';
import { persistNote } from './keep.ts';
import { liveStateOf } from './live-state.ts';
import { describeTarget } from './netns-target.ts';
import { oneLine, sameValue } from './sysctl-value.ts';

export interface RestoreOptions {
  /** Also where somebody else changed the setting since; and let go of namespaces out of reach. */
  readonly force: boolean;
  /** All sessions known, for keys that several kept fixes persist. */
  readonly sessions: readonly Session[];
}

export interface RestoreResult {
  /** True: nothing of the fix is left, on the machine or in our file of sysctl.d(5). */
  readonly complete: boolean;
  readonly steps: readonly StepRestore[];
}

/**
 * Puts the old values of one fix back, last step first, byte for byte, and takes its lines out of the
 * drop-in. The one way back: for roll-back, undo, and what a killed run left. May itself be killed and
 * called again at any point.
 *
 * A value that is not the one we wrote belongs to somebody else and stays (unless forced); the fix then
 * stays listed as kept. A journal that cannot be written (disk full) does not stop the way back:
 * values that are back tell the next start as much.
 */
export async function restoreEntry(
  session: Session,
  entry: JournalEntry,
  environment: FixEnvironment,
  { force, sessions }: RestoreOptions,
): Promise<RestoreResult> {
  const { checkpoint, observe, stateDirectory } = environment;
  const save = async (): Promise<void> => {
    const saved = await saveSession(stateDirectory, session);
    if (saved.status !== 'ok') observe({ type: 'warning', text: saved.reason });
  };

  const wasKept = entry.phase === 'kept';
  entry.phase = 'restoring';
  for (const step of entry.steps) await planSideEffects(step, environment);
  await save();
  checkpoint('restore-journalled');

  const steps: StepRestore[] = [];
  for (const step of entry.steps.toReversed()) {
    if (step.state === 'restored') continue;
    const result = await restoreStep(step, force, environment);
    steps.push(result);
    observe({ type: 'restored', step: result });
    if (isBack(result)) {
      step.state = 'restored';
      await save();
      checkpoint('restore-recorded');
    }
  }

  const cleared = await clearDropIn(session, entry, environment, sessions);
  checkpoint('drop-in-removed');
  const failed = !cleared || steps.some(({ result }) => result === 'failed');
  const foreign = steps.some(({ result }) => result === 'changed-since');
  // A failed roll-back stays unfinished and is offered again. A failed undo, and what belongs to
  // somebody else now, stays listed as kept.
  if (foreign || (failed && wasKept)) {
    entry.phase = 'kept';
    forgetSideEffectPlan(entry);
  } else if (!failed) {
    entry.phase = 'restored';
  }
  await save();
  checkpoint('restored');
  return { complete: !failed && !foreign, steps };
}

function isBack({ result }: StepRestore): boolean {
  return result === 'restored' || result === 'already' || result === 'gone';
}

async function restoreStep(
  step: JournalStep,
  force: boolean,
  { store, checkpoint, observe }: FixEnvironment,
): Promise<StepRestore> {
  const { key, target, before } = step;
  const common = { key, where: describeTarget(target), to: oneLine(before) };
  const { state, live } = await liveStateOf(store, step);

  if (live.status !== 'ok') {
    // Forced: a namespace that nobody can reach any more would stay on the list for ever.
    const gone = live.status === 'absent' || (force && target.kind === 'netns');
    return { ...common, result: gone ? 'gone' : 'failed', reason: live.reason };
  }
  if (state === 'foreign' && !force) {
    return { ...common, result: 'changed-since', reason: foreignReason(step, live.value) };
  }
  if (state !== 'original') {
    const written = await store.write(key, target, before);
    if (written.status !== 'ok') return { ...common, result: 'failed', reason: written.reason };
    checkpoint('restore-written');
    const back = await store.read(key, target);
    if (back.status !== 'ok' || !sameValue(key, back.value, before)) {
      const now = back.status === 'ok' ? `it is ${oneLine(back.value)}` : back.reason;
      return { ...common, result: 'failed', reason: `the old value did not stay: ${now}` };
    }
  }
  for (const effect of step.sideEffects) {
    const problem = await restoreSideEffect(step, effect, { store });
    if (problem !== undefined) observe({ type: 'warning', text: problem });
  }
  return { ...common, result: state === 'original' ? 'already' : 'restored' };
}

function foreignReason({ key, to, became, before }: JournalStep, live: string): string {
  return `${key} is ${oneLine(live)} now; whydrop had changed it from ${oneLine(before)} to ${oneLine(became ?? to)}, so somebody else set it since`;
}

/**
 * Decides, before the main key is touched (which may change them again), what each side effect has to
 * be afterwards. Those that somebody else has changed keep what they have now. Killed before they were
 * read, only the main key tells whether the kernel changed them.
 */
async function planSideEffects(step: JournalStep, { store }: FixEnvironment): Promise<void> {
  if (step.state === 'restored' || step.sideEffects.length === 0) return;
  const { state } = await liveStateOf(store, step);
  for (const effect of step.sideEffects) {
    if (effect.restoreTo !== null) continue;
    const live = await store.read(effect.key, step.target);
    if (live.status !== 'ok') continue;
    const ours =
      effect.after === null ? state === 'changed' : sameValue(effect.key, live.value, effect.after);
    effect.restoreTo = ours ? effect.before : live.value;
  }
}

/** A later, forced undo starts from what the values are then. */
function forgetSideEffectPlan({ steps }: JournalEntry): void {
  for (const { sideEffects } of steps) for (const effect of sideEffects) effect.restoreTo = null;
}

/** @returns what went wrong, if anything did */
async function restoreSideEffect(
  { target }: JournalStep,
  { key, restoreTo }: JournalSideEffect,
  { store }: Pick<FixEnvironment, 'store'>,
): Promise<string | undefined> {
  if (restoreTo === null) return undefined;
  const live = await store.read(key, target);
  if (live.status === 'absent') return undefined;
  if (live.status === 'ok' && sameValue(key, live.value, restoreTo)) return undefined;
  const written = await store.write(key, target, restoreTo);
  return written.status === 'ok'
    ? undefined
    : `${key} could not be set back to ${oneLine(restoreTo)}: ${written.reason}`;
}

/** Takes our lines out, or gives them the value of another kept fix that persists the same key. */
async function clearDropIn(
  session: Session,
  entry: JournalEntry,
  { root, observe }: FixEnvironment,
  sessions: readonly Session[],
): Promise<boolean> {
  if (entry.persisted.length === 0) return true;
  const others = sessions
    .flatMap((session) => session.entries.map((other) => ({ session, other })))
    .filter(({ other }) => other.phase === 'kept')
    .filter(({ session: { id }, other }) => id !== session.id || other.number !== entry.number);
  const changes = entry.persisted.map(({ key, value }) => {
    const heir = others.findLast(({ other }) => other.persisted.some((line) => line.key === key));
    const inherited = heir?.other.persisted.find((line) => line.key === key)?.value ?? null;
    const note = heir === undefined ? '' : persistNote(heir.session, heir.other);
    return { key, value: inherited, onlyIf: value, note };
  });
  const changed = await changeDropIn(root, changes);
  if (changed.status === 'ok') {
    entry.persisted = [];
    return true;
  }
  observe({ type: 'warning', text: changed.reason });
  return false;
}
