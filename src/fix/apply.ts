import { ok, unread, type Reading } from '../model/reading.ts';
import { sysctlKey, sysctlPath } from '../model/sysctl-key.ts';
import type { FixEnvironment } from './environment.ts';
import type { FixEvent } from './events.ts';
import {
  entryId,
  saveSession,
  type JournalEntry,
  type JournalSideEffect,
  type JournalStep,
  type Session,
} from './journal.ts';
import { describeTarget } from './netns-target.ts';
import type { PlannedFix, SysctlStep } from './plan.ts';
import { sideEffectsOf } from './side-effects.ts';
import { locateStep, type SysctlStore } from './sysctl-store.ts';
import { oneLine, sameValue } from './sysctl-value.ts';

/**
 * Journals a fix and makes it so. Every refusal before the journal is on disk leaves the machine
 * untouched.
 *
 * @returns `ok`: all steps are written (`problem` unset), or some are and one failed (`problem` says why:
 * the caller must restore the entry). Otherwise nothing was changed.
 */
export async function applyFix(
  session: Session,
  planned: PlannedFix,
  environment: FixEnvironment,
): Promise<Reading<{ entry: JournalEntry; problem?: string }>> {
  const { stateDirectory, now, observe, checkpoint } = environment;
  const steps: JournalStep[] = [];
  for (const step of planned.steps) {
    const prepared = await prepareStep(step, planned.netns, environment.store);
    if (prepared.status !== 'ok') return prepared;
    steps.push(prepared.value);
  }
  const entry: JournalEntry = {
    number: session.entries.length + 1,
    appliedAt: now().toISOString(),
    cause: planned.cause.id,
    causeTitle: planned.cause.title,
    fix: planned.fix.id,
    fixTitle: planned.fix.title,
    phase: 'applying',
    outcome: null,
    steps,
    persisted: [],
  };
  session.entries.push(entry);
  const saved = await saveSession(stateDirectory, session);
  if (saved.status !== 'ok') {
    session.entries.pop();
    return saved;
  }
  observe({ type: 'journalled', fix: planned, id: entryId(session, entry) });
  checkpoint('journalled');

  const stop = await writeSteps(session, entry, environment);
  if (stop?.untouched === true) stop.step.state = 'restored';
  return ok(stop === undefined ? { entry } : { entry, problem: stop.reason });
}

/** Why the steps of a fix are not all written. */
export interface Stop {
  readonly step: JournalStep;
  readonly reason: string;
  /** This run has not changed the step. */
  readonly untouched: boolean;
}

/**
 * Writes the steps that are not written yet, and goes on to `measuring`. Also finishes what a killed
 * run began: a step that has its new value already is taken as written.
 *
 * @returns why it stopped half-way, if it did
 */
export async function writeSteps(
  session: Session,
  entry: JournalEntry,
  environment: FixEnvironment,
): Promise<Stop | undefined> {
  for (const [index, step] of entry.steps.entries()) {
    if (step.state !== 'planned') continue;
    const stop = await writeStep(step, environment);
    if (stop !== undefined) {
      // Steps are written in order, so nobody has touched the later ones.
      for (const later of entry.steps.slice(index + 1)) later.state = 'restored';
      return stop;
    }
    await saveOrWarn(session, environment);
    environment.checkpoint('recorded');
  }
  entry.phase = 'measuring';
  await saveOrWarn(session, environment);
  environment.checkpoint('applied');
  return undefined;
}

/** After the first write the way ahead and the way back both go on without the journal: the live values tell. */
export async function saveOrWarn(
  session: Session,
  { stateDirectory, observe }: FixEnvironment,
): Promise<void> {
  const saved = await saveSession(stateDirectory, session);
  if (saved.status !== 'ok') observe({ type: 'warning', text: saved.reason });
}

/** Why a step does not fit the machine as it is now, or the raw live value. */
export function fitting({ key, from, to }: SysctlStep, live: Reading<string>): Reading<string> {
  if (live.status !== 'ok' || sameValue(key, live.value, from)) return live;
  const now = oneLine(live.value);
  return unread(
    'not-applicable',
    sameValue(key, live.value, to)
      ? `${key} is ${now} already`
      : `${key} is ${now} now, no longer ${oneLine(from)}: measure again`,
  );
}

/** Checks that the step still fits the machine, and notes all that it may change. */
async function prepareStep(
  step: SysctlStep,
  netns: string | null,
  store: SysctlStore,
): Promise<Reading<JournalStep>> {
  const target = await locateStep(store, step, netns);
  if (target.status !== 'ok') return target;
  const live = fitting(step, await store.read(step.key, target.value));
  if (live.status !== 'ok') return live;
  return ok({
    key: step.key,
    target: target.value,
    before: live.value,
    to: step.to,
    became: null,
    state: 'planned',
    sideEffects: await noteSideEffects(step.key, target.value, store),
  });
}

async function noteSideEffects(
  key: string,
  target: JournalStep['target'],
  store: SysctlStore,
): Promise<JournalSideEffect[]> {
  const effects = sideEffectsOf(key);
  if (effects === undefined) return [];
  const names = await store.list(effects.tree, target);
  const directory = sysctlPath(effects.tree) ?? '';
  const keys = [
    ...(names.status === 'ok' ? names.value : []).flatMap(
      (name) => sysctlKey(`${directory}/${name}/${effects.setting}`) ?? [],
    ),
    ...effects.others,
  ];
  const noted: JournalSideEffect[] = [];
  for (const other of keys.filter((other) => other !== key)) {
    const before = await store.read(other, target);
    if (before.status !== 'ok') continue;
    noted.push({ key: other, before: before.value, after: null, restoreTo: null });
  }
  return noted;
}

async function writeStep(
  step: JournalStep,
  { store, observe, checkpoint }: FixEnvironment,
): Promise<Stop | undefined> {
  const { key, target, before, to } = step;
  const stop = (reason: string, untouched: boolean): Stop => ({ step, reason, untouched });

  const live = await store.read(key, target);
  if (live.status !== 'ok') return stop(live.reason, true);
  let refused: string | undefined;
  if (!sameValue(key, live.value, to)) {
    if (!sameValue(key, live.value, before)) {
      return stop(`${key} is ${oneLine(live.value)} now: somebody else is changing it`, true);
    }
    checkpoint('before-write');
    const written = await store.write(key, target, `${to}\n`);
    checkpoint('written');
    if (written.status !== 'ok') refused = written.reason;
  }

  const became = await store.read(key, target);
  if (became.status !== 'ok') return stop(became.reason, false);
  const unchanged = sameValue(key, became.value, before);
  // Refused in the middle of a list, the numbers before are written all the same (tcp_rmem on 6.18).
  if (refused !== undefined && unchanged) return stop(refused, true);
  step.became = became.value;
  step.state = 'written';
  for (const effect of step.sideEffects) {
    const after = await store.read(effect.key, target);
    if (after.status === 'ok') effect.after = after.value;
  }
  if (refused !== undefined) return stop(refused, false);
  if (unchanged) return stop(`the kernel left ${key} at ${oneLine(before)}`, false);
  observe(writtenEvent(step, became.value));
  return undefined;
}

function writtenEvent(step: JournalStep, became: string): FixEvent {
  const { key, target, before, to, sideEffects } = step;
  return {
    type: 'written',
    key,
    where: describeTarget(target),
    from: oneLine(before),
    to: oneLine(to),
    became: oneLine(became),
    adjusted: !sameValue(key, became, to),
    alsoChanged: sideEffects.flatMap(({ key, before, after }) =>
      after === null || sameValue(key, before, after)
        ? []
        : [{ key, from: oneLine(before), to: oneLine(after) }],
    ),
  };
}
