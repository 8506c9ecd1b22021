import type { Diagnosis } from '../engine/diagnose.ts';
import type { Host } from '../model/host.ts';
import type { Report } from '../model/report.ts';
import { exitCodeOf } from '../engine/verdict.ts';
import { interruptible } from './interrupt.ts';
import { measure, measureRequest, openHost, type MeasureFlags } from './measure.ts';
import { lookOf, print, writeReport } from './output.ts';
import { withProgress } from './progress.ts';
import { UsageError } from './usage-error.ts';

export interface OutputFlags {
  format: 'text' | 'json';
  json?: boolean;
  output?: string;
  failOn: 'critical' | 'warning' | 'never';
  color: 'auto' | 'always' | 'never';
  plain?: boolean;
  quiet?: boolean;
  verbose?: boolean;
}

export type ReportFlags = MeasureFlags & OutputFlags & { from?: string };

/** `whydrop report`. @returns the exit code */
export async function runReport(given: Record<string, unknown>): Promise<number> {
  const flags = given as unknown as ReportFlags;
  const host =
    flags.from === undefined ? await openHost(flags.netns ?? null) : await replay(flags.from);
  try {
    const interrupted = interruptible();
    const { report } = await diagnoseWithProgress(host, flags, interrupted.signal);
    if (interrupted.exitCode !== undefined) return interrupted.exitCode;
    await present(report, flags);
    return exitCodeOf(report.verdict, flags.failOn);
  } finally {
    await host.close();
  }
}

/** Measures, with the progress on stderr that the flags allow. */
export async function diagnoseWithProgress(
  host: Host,
  flags: MeasureFlags & OutputFlags,
  signal: AbortSignal,
): Promise<Diagnosis> {
  const request = measureRequest(flags);
  const style = host.facts.recorded ? 'none' : progressStyle(flags);
  return withProgress(style, (onProgress) => measure(host, request, { onProgress, signal }));
}

/** Off a terminal only --verbose asks for progress lines. */
function progressStyle({ quiet, plain, verbose }: OutputFlags): 'live' | 'plain' | 'none' {
  if (quiet === true) return 'none';
  if (process.stderr.isTTY && plain !== true) return 'live';
  return process.stderr.isTTY || verbose === true ? 'plain' : 'none';
}

/** Renders the report to stdout or into the file asked for. */
export async function present(report: Report, flags: OutputFlags): Promise<void> {
  const text = await render(report, flags);
  if (flags.output === undefined) await print(text);
  else await writeReport(flags.output, text);
}

async function render(report: Report, flags: OutputFlags): Promise<string> {
  if (flags.json === true || flags.format === 'json') {
    const { renderJson } = await import('../render/json.ts');
    return renderJson(report);
  }
  const { renderText } = await import('../render/text.ts');
  const look = lookOf({
    color: flags.output === undefined ? flags.color : 'never',
    plain: flags.plain === true,
    verbose: flags.verbose === true,
  });
  return renderText(report, look);
}

async function replay(path: string): Promise<Host> {
  const { openReplay } = await import('../host/index.ts');
  const host = await openReplay(path);
  if (host.status !== 'ok') throw new UsageError(host.reason);
  return host.value;
}
