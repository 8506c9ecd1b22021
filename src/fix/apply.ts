import { ok, unread, type Reading } from '../model/reading.ts';
import { sysctlKey, sysctlPath } from '../model/sysctl-key.ts';
import type { FixEnvironment } from './environment.ts';
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

  const problem = await writeSteps(session, entry, environment);
  return ok(problem === undefined ? { entry } : { entry, problem });
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
): Promise<string | undefined> {
  for (const step of entry.steps) {
    if (step.state !== 'planned') continue;
    const problem = await writeStep(step, environment);
    if (problem !== undefined) return problem;
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

/** @returns why the step is not as it should be, if it is not */
async function writeStep(
  step: JournalStep,
  { store, observe, checkpoint }: FixEnvironment,
): Promise<string | undefined> {
  const { key, target, before, to } = step;
  const live = await store.read(key, target);
  if (live.status !== 'ok') return live.reason;
  if (!sameValue(key, live.value, to)) {
    if (!sameValue(key, live.value, before)) {
      return `${key} is ${oneLine(live.value)} now: somebody else is changing it`;
    }
    checkpoint('before-write');
    const written = await store.write(key, target, `${to}\n`);
    if (written.status !== 'ok') return written.reason;
    checkpoint('written');
  }

  const became = await store.read(key, target);
  if (became.status !== 'ok') return became.reason;
  step.became = became.value;
  step.state = 'written';
  for (const effect of step.sideEffects) {
    const after = await store.read(effect.key, target);
    if (after.status === 'ok') effect.after = after.value;
  }
  if (sameValue(key, became.value, before)) return `the kernel left ${key} at ${oneLine(before)}`;
  observe({
    type: 'written',
    key,
    where: describeTarget(target),
    from: oneLine(before),
    to: oneLine(to),
    became: oneLine(became.value),
    adjusted: !sameValue(key, became.value, to),
    alsoChanged: step.sideEffects.flatMap(({ key, before, after }) =>
      after === null || sameValue(key, before, after)
        ? []
        : [{ key, from: oneLine(before), to: oneLine(after) }],
    ),
  });
  return undefined;
}
