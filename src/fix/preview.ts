import { withCommand } from '../engine/commands.ts';
import type { Reading } from '../model/reading.ts';
import { fitting } from './apply.ts';
import { keyAtBoot, readBootSettings, type KeyAtBoot } from './boot-settings.ts';
import { dropInPath, notPersisted, persistWarnings } from './drop-in.ts';
import type { FixEnvironment } from './environment.ts';
import { describeTarget } from './netns-target.ts';
import type { PlannedFix } from './plan.ts';
import { sideEffectsOf } from './side-effects.ts';
import { locateStep } from './sysctl-store.ts';
import { oneLine } from './sysctl-value.ts';

/** What an administrator should see before saying yes. Risk, cost and title are in `fix.fix`. */
export interface FixPreview {
  readonly fix: PlannedFix;
  readonly steps: readonly StepPreview[];
  /** With --persist: our file, and why a line in it may not come to effect. */
  readonly persist?: { readonly file: string; readonly warnings: readonly string[] };
}

export interface StepPreview {
  readonly key: string;
  /** `this host`, or the network namespace. */
  readonly where: string;
  /** On one line. */
  readonly current: Reading<string>;
  readonly to: string;
  /** Why the fix would be refused: the value is not the one this advice rests on, or cannot be read. */
  readonly problem?: string;
  /** Settings the kernel changes along, as a pattern: `net.ipv4.conf.*.forwarding`. They are noted and restored. */
  readonly alsoChanges: readonly string[];
  /** Who sets this key at boot. Absent in other namespaces than the initial one: no file reaches there. */
  readonly boot?: KeyAtBoot;
  /** What an administrator would type to take it back. */
  readonly undoCommand: string;
}

/** Reads what is needed to show a fix; changes nothing. */
export async function previewFix(
  fix: PlannedFix,
  { store, root }: Pick<FixEnvironment, 'store' | 'root'>,
  persist = false,
): Promise<FixPreview> {
  const bootSettings = await readBootSettings(root);
  const steps: StepPreview[] = [];
  const warnings: string[] = [];
  for (const step of fix.steps) {
    const { key, from, to } = step;
    const target = await locateStep(store, step, fix.netns);
    const current = target.status === 'ok' ? await store.read(key, target.value) : target;
    const fits = fitting(step, current);
    const initial = target.status === 'ok' && target.value.kind === 'initial';
    const effects = sideEffectsOf(key);
    steps.push({
      key,
      where: target.status === 'ok' ? describeTarget(target.value) : 'nowhere',
      current: current.status === 'ok' ? { ...current, value: oneLine(current.value) } : current,
      to: oneLine(to),
      ...(fits.status !== 'ok' && { problem: fits.reason }),
      alsoChanges:
        effects === undefined ? [] : [`${effects.tree}.*.${effects.setting}`, ...effects.others],
      ...(initial && { boot: keyAtBoot(bootSettings, key) }),
      undoCommand: withCommand({ ...step, from: to, to: oneLine(from) }, fix.netns).command,
    });
    if (persist)
      warnings.push(...(initial ? await persistWarnings(root, key) : [notPersisted(key)]));
  }
  return {
    fix,
    steps,
    ...(persist && { persist: { file: dropInPath(root), warnings } }),
  };
}
