import type { Diagnosis } from '../engine/diagnose.ts';
import type { Host, Machine } from '../model/host.ts';
import type { Report } from '../model/report.ts';
import { exitCodeOf } from '../engine/verdict.ts';
import { hasJournal } from '../fix/state-directory.ts';
import { Interrupted, type Interruption } from './interrupt.ts';
import type { MeasureFlags } from './measure.ts';
import { ALL_NETNS, openHost, openWholeMachine } from './open-host.ts';
import { deliver, fileLook, isPlain, lookOf, wantsJson, type OutputFlags } from './output.ts';
import { withProgress } from './progress.ts';
import { UsageError } from './usage-error.ts';

export type ReportFlags = MeasureFlags & OutputFlags & { from?: string; pcap?: string };

/** `whydrop report`. @returns the exit code */
export async function runReport(
  given: Record<string, unknown>,
  { signal }: Interruption,
): Promise<number> {
  const flags = given as unknown as ReportFlags;
  const opening = flags.from === undefined ? open(flags) : replay(flags.from);
  // Checks and rules are many files: they are loaded while helpers enter the namespace and the
  // kernel makes trace buffers.
  const [{ value: target, notes = [] }] = await Promise.all([opening, import('./measure.ts')]);
  try {
    if (flags.from === undefined && hasJournal(process.env)) {
      await (await import('./unfinished.ts')).warnOfUnfinished(flags);
    }
    const diagnosis = await diagnoseWithProgress(target, flags, signal);
    const { report } = diagnosis;
    try {
      await deliverPackets(diagnosis, flags);
    } finally {
      await present({ ...report, notes: [...notes, ...report.notes] }, flags);
    }
    return exitCodeOf(report.verdict, flags.failOn);
  } finally {
    await target.close();
  }
}

/** Measures, with the progress on stderr that the flags allow. @throws Interrupted */
export async function diagnoseWithProgress(
  target: Host | Machine,
  flags: MeasureFlags & OutputFlags,
  signal: AbortSignal,
): Promise<Diagnosis> {
  const { measure, measureRequest } = await import('./measure.ts');
  const request = measureRequest(flags);
  const isRecorded = 'facts' in target && target.facts.recorded;
  const style = isRecorded ? 'none' : progressStyle(flags);
  const diagnosis = await withProgress(style, (onProgress) =>
    measure(target, request, { onProgress, signal }),
  );
  if (signal.aborted) throw new Interrupted();
  return diagnosis;
}

/** Off a terminal only --verbose asks for progress lines. */
function progressStyle(flags: OutputFlags): 'live' | 'plain' | 'none' {
  if (flags.quiet === true) return 'none';
  if (process.stderr.isTTY) return isPlain(flags) ? 'plain' : 'live';
  return flags.verbose === true ? 'plain' : 'none';
}

/** Renders the report to stdout or into the file asked for. */
export async function present(report: Report, flags: OutputFlags): Promise<void> {
  await deliver(await render(report, flags), flags);
}

async function render(report: Report, flags: OutputFlags): Promise<string> {
  if (wantsJson(flags)) {
    const { renderJson } = await import('../render/json.ts');
    return renderJson(report);
  }
  const { renderText } = await import('../render/text.ts');
  return renderText(report, flags.output === undefined ? lookOf(flags) : fileLook(flags));
}

/** Writes the file of --pcap, where that is asked for. */
export async function deliverPackets(diagnosis: Diagnosis, flags: ReportFlags): Promise<void> {
  if (flags.pcap === undefined) return;
  const { savePackets } = await import('./packets.ts');
  await savePackets(flags.pcap, diagnosis, flags);
}

async function open(flags: ReportFlags): Promise<OpenedHost> {
  return flags.netns === ALL_NETNS
    ? { value: await openWholeMachine(flags.capture) }
    : { value: await openHost(flags.netns ?? null, flags.capture) };
}

interface OpenedHost {
  readonly value: Host | Machine;
  readonly notes?: readonly string[];
}

/** @returns with notes, when the recording was cut off */
async function replay(path: string): Promise<OpenedHost> {
  const { openReplay } = await import('../host/index.ts');
  const host = await openReplay(path);
  if (host.status !== 'ok') throw new UsageError(host.reason);
  return host;
}
