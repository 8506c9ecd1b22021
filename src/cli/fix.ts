import type { Diagnosis } from '../engine/diagnose.ts';
import type { FixEnvironment } from '../fix/environment.ts';
import type { Measurement } from '../fix/judge.ts';
import type { FixPlan } from '../fix/plan.ts';
import type { Host } from '../model/host.ts';
import { fixExitCode } from '../fix/exit-code.ts';
import { planFixes } from '../fix/plan.ts';
import { previewFix, type FixPreview } from '../fix/preview.ts';
import { runFixes } from '../fix/run.ts';
import { Asker, canAsk } from './ask.ts';
import { environmentOf } from './environment.ts';
import { fixJson } from './fix-json.ts';
import { layOut, planLines, previewLines, resultLines, type Line } from './fix-text.ts';
import { Interrupted, type Interruption } from './interrupt.ts';
import { openHost } from './open-host.ts';
import { deliver, isPlain, lookOf, print, wantsJson } from './output.ts';
import { deliverPackets, diagnoseWithProgress, present, type ReportFlags } from './report.ts';
import { settleUnfinished, warnOfUnfinished } from './unfinished.ts';
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
export async function runFix(
  given: Record<string, unknown>,
  interrupted: Interruption,
): Promise<number> {
  const flags = given as unknown as FixFlags;
  const dryRun = flags.dryRun === true;
  if (flags.from !== undefined) {
    throw new UsageError(
      'a recording is never a reason to change this machine: fix measures live, without --from',
    );
  }
  if (!dryRun && process.getuid?.() !== 0) {
    throw new UsageError(
      'fix changes kernel settings and needs root; --dry-run shows what it would do',
    );
  }
  const asks = flags.yes !== true && flags.input && canAsk();
  if (!dryRun && flags.yes !== true && !asks) {
    throw new UsageError(
      'nobody is there to confirm: --yes applies without asking, --dry-run only shows',
    );
  }
  const ask = new Asker(interrupted, isPlain(flags));
  const host = await openHost(flags.netns ?? null);
  try {
    const settled =
      asks && !dryRun ? await settleUnfinished(ask, flags) : !(await warnOfUnfinished(flags));
    if (!settled && !dryRun) return REFUSED;
    const diagnosis = await diagnoseWithProgress(host, flags, interrupted.signal);
    await deliverPackets(diagnosis, flags);
    if (!wantsJson(flags)) await present(diagnosis.report, flags);
    const { measureRequest } = await import('./measure.ts');
    const { only } = measureRequest(flags);
    return await fixDiagnosed(host, diagnosis, { flags, only, ask, interrupted });
  } finally {
    await host.close();
  }
}

/** Plan, preview, confirm, apply, verify: for `whydrop fix` and the guided session alike. */
export async function fixDiagnosed(
  host: Host,
  diagnosis: Diagnosis,
  {
    flags,
    only,
    ask,
    interrupted,
  }: { flags: FixFlags; only: readonly string[]; ask: Asker; interrupted: Interruption },
): Promise<number> {
  const { report } = diagnosis;
  const json = wantsJson(flags);
  const plan = planFixes(report, { only, safeOnly: flags.safeOnly === true });
  const say = async (lines: readonly Line[]): Promise<void> => {
    if (!json && lines.length > 0) await print(`\n${layOut(lines, lookOf(flags))}`);
  };
  const look = lookOf(flags, process.stderr);
  const environment = environmentOf(look);
  await say(planLines(plan));
  if (flags.dryRun === true) {
    const previews = await previewAll(plan, environment, flags);
    if (json) await deliver(fixJson(report, plan, { previews }), flags);
    for (const preview of previews) await say(previewLines(preview));
    return plan.refused === undefined ? 0 : REFUSED;
  }

  const results = await runFixes(plan, environment, {
    before: measurementOf(diagnosis),
    persist: flags.persist === true,
    signal: interrupted.signal,
    confirm: async (preview) => {
      process.stderr.write(`\n${layOut(previewLines(preview), look)}`);
      return flags.yes === true || confirmed(ask, preview);
    },
    ...(flags.verify
      ? {
          measure: async () =>
            measurementOf(await diagnoseWithProgress(host, flags, interrupted.signal)),
        }
      : {}),
  });
  if (json) await deliver(fixJson(report, plan, { results }), flags);
  else if (plan.apply.length > 0) await say(resultLines(results));
  return fixExitCode(results);
}

/** Ctrl-C here is a No, and the end of the run: what was done before is still told. */
async function confirmed(ask: Asker, { fix }: FixPreview): Promise<boolean> {
  try {
    return await ask.confirm(`Apply ${fix.name}?`);
  } catch (error) {
    if (error instanceof Interrupted) return false;
    throw error;
  }
}

async function previewAll(
  plan: FixPlan,
  environment: FixEnvironment,
  { persist }: FixFlags,
): Promise<readonly FixPreview[]> {
  const previews: FixPreview[] = [];
  for (const fix of plan.apply) previews.push(await previewFix(fix, environment, persist === true));
  return previews;
}

function measurementOf({ report, rises }: Diagnosis): Measurement {
  return { seconds: report.window.seconds, rises, causes: report.causes };
}
