import type { Diagnosis } from '../engine/diagnose.ts';
import type { Measurement } from '../fix/judge.ts';
import type { FixPlan } from '../fix/plan.ts';
import type { FixPreview } from '../fix/preview.ts';
import type { FixResult } from '../fix/run.ts';
import type { Host } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import { CHECKPOINTS, type Checkpoint } from '../fix/checkpoints.ts';
import { liveEnvironment, type FixEnvironment } from '../fix/environment.ts';
import { fixExitCode } from '../fix/exit-code.ts';
import { planFixes } from '../fix/plan.ts';
import { previewFix } from '../fix/preview.ts';
import { runFixes } from '../fix/run.ts';
import { findUnfinished } from '../fix/unfinished.ts';
import { canAsk, confirm } from '../wizard/ask.ts';
import { eventText, planText, previewText, resultsText, unfinishedText } from './fix-text.ts';
import { interruptible, type Interruption } from './interrupt.ts';
import { listOf, openHost } from './measure.ts';
import { print } from './output.ts';
import { diagnoseWithProgress, present, type ReportFlags } from './report.ts';
import { UsageError } from './usage-error.ts';

export interface FixFlags extends ReportFlags {
  dryRun?: boolean;
  yes?: boolean;
  safeOnly?: boolean;
  persist?: boolean;
  verify: boolean;
  input: boolean;
}

/** Exit code when nothing was, or may be, changed. */
const REFUSED = 3;

/** `whydrop fix`. @returns the exit code (DESIGN section 4) */
export async function runFix(given: Record<string, unknown>): Promise<number> {
  const flags = given as unknown as FixFlags;
  if (flags.from !== undefined) {
    throw new UsageError(
      'a recording is never a reason to change this machine: fix measures live, without --from',
    );
  }
  if (flags.dryRun !== true && process.getuid?.() !== 0) {
    throw new UsageError(
      'fix changes kernel settings and needs root; --dry-run shows what it would do',
    );
  }
  const host = await openHost(flags.netns ?? null);
  try {
    const interrupted = interruptible();
    const unfinished = await reportUnfinished();
    if (unfinished && flags.dryRun !== true) return REFUSED;
    const diagnosis = await diagnoseWithProgress(host, flags, interrupted.signal);
    if (interrupted.exitCode !== undefined) return interrupted.exitCode;
    if (flags.json !== true) await present(diagnosis.report, flags);
    const exitCode = await fixDiagnosed(host, diagnosis, flags, interrupted);
    return interrupted.exitCode ?? exitCode;
  } finally {
    await host.close();
  }
}

/** Plan, preview, confirm, apply, verify: for `whydrop fix` and the guided session alike. */
export async function fixDiagnosed(
  host: Host,
  diagnosis: Diagnosis,
  flags: FixFlags & { chosen?: readonly string[] },
  interrupted: Interruption,
): Promise<number> {
  const only = flags.chosen ?? listOf(flags.only);
  const plan = planFixes(diagnosis.report, { only, safeOnly: flags.safeOnly === true });
  if (flags.json !== true) await print(planText(plan));
  const environment = environmentOf((text) => process.stderr.write(text));
  if (flags.dryRun === true) return dryRun(plan, environment, flags);

  if (plan.apply.length > 0 && flags.yes !== true && !(flags.input && canAsk())) {
    throw new UsageError(
      'nobody is there to confirm: --yes applies without asking, --dry-run only shows',
    );
  }
  const results = await runFixes(plan, environment, {
    before: measurementOf(diagnosis),
    persist: flags.persist === true,
    signal: interrupted.signal,
    confirm: async (preview) => {
      process.stderr.write(previewText(preview));
      return flags.yes === true || confirm(`Apply ${preview.fix.name}?`);
    },
    ...(flags.verify
      ? {
          measure: async () =>
            measurementOf(await diagnoseWithProgress(host, flags, interrupted.signal)),
        }
      : {}),
  });
  await show(diagnosis, plan, results, flags);
  return fixExitCode(results);
}

async function dryRun(
  plan: FixPlan,
  environment: FixEnvironment,
  flags: FixFlags,
): Promise<number> {
  const previews: FixPreview[] = [];
  for (const fix of plan.apply) {
    previews.push(await previewFix(fix, environment, flags.persist === true));
  }
  await print(
    flags.json === true
      ? `${JSON.stringify(previews, null, 2)}\n`
      : previews.map(previewText).join(''),
  );
  return plan.refused === undefined ? 0 : REFUSED;
}

async function show(
  { report }: Diagnosis,
  plan: FixPlan,
  results: Reading<readonly FixResult[]>,
  { json }: FixFlags,
): Promise<void> {
  if (json !== true) {
    await print(resultsText(plan, results));
    return;
  }
  const fixes =
    results.status === 'ok'
      ? results.value.map(({ fix, id, outcome, reason }) => ({
          name: fix.name,
          id,
          outcome,
          reason,
        }))
      : [];
  const refused = results.status === 'ok' ? {} : { refused: results.reason };
  await print(`${JSON.stringify({ schema: 'whydrop.fix/1', report, fixes, ...refused })}\n`);
}

/**
 * Says on stderr what a killed run left half-way. @returns whether there is something
 */
export async function reportUnfinished(): Promise<boolean> {
  // The journal is root's; others could neither read nor mend it.
  if (process.getuid?.() !== 0) return false;
  const unfinished = await findUnfinished(environmentOf(() => {}));
  if (unfinished.status !== 'ok' || unfinished.value.length === 0) return false;
  process.stderr.write(unfinishedText(unfinished.value));
  return true;
}

export function environmentOf(write: (text: string) => void): FixEnvironment {
  return liveEnvironment(process.env, (event) => write(eventText(event)), crashForTest);
}

/** The lab kills whydrop at each step to prove that the next start can put things right. */
function crashForTest(name: Checkpoint): void {
  const wanted = process.env['WHYDROP_TEST_CRASH_AT'];
  if (wanted === name && CHECKPOINTS.includes(name)) process.kill(process.pid, 'SIGKILL');
}

function measurementOf({ report, rises }: Diagnosis): Measurement {
  return { seconds: report.window.seconds, rises, causes: report.causes };
}
