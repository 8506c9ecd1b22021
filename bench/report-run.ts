import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChild } from './child.ts';
import type { Report } from '../src/model/report.ts';

/** What `--verbose` says on stderr when a stage begins (src/cli/progress.ts). */
const STAGES = {
  starting: 'Start the live drop capture',
  first: 'Read counters and settings',
  window: 'Watch drops as they happen',
  last: 'Read the counters again',
  judging: 'Find the causes',
} as const;

export type Stage = keyof typeof STAGES;

/** One run of `whydrop report`, measured from outside. */
export interface ReportRun {
  readonly report: Report;
  readonly wallMs: number;
  /** When each stage began, after the process was started. */
  readonly beganMs: Readonly<Record<Stage, number>>;
  readonly usage: Usage;
}

/** Written by usage.mjs. */
interface Usage {
  /** Most resident memory of the process itself; programs it ran are not in it. */
  readonly peakMB: number;
  /** CPU time of the process and of the programs it ran. */
  readonly cpuMs: number;
}

export interface StartedReport {
  /** Resolves when the window is open. */
  readonly watching: Promise<void>;
  readonly done: Promise<ReportRun>;
}

/** @param program the built main.js */
export function startReport(program: string, args: readonly string[]): StartedReport {
  let opened = (): void => {};
  const watching = new Promise<void>((resolve) => {
    opened = resolve;
  });
  return { watching, done: runReport(program, args, opened) };
}

async function runReport(
  program: string,
  args: readonly string[],
  onWindow: () => void,
): Promise<ReportRun> {
  const directory = await mkdtemp(join(tmpdir(), 'whydrop-bench-'));
  const usageFile = join(directory, 'usage');
  const writeUsage = fileURLToPath(new URL('usage.mjs', import.meta.url));
  const startedAt = performance.now();
  const child = startChild(
    process.execPath,
    ['--import', writeUsage, program, 'report', '--json', '--verbose', ...args],
    {
      PATH: process.env['PATH'] ?? '',
      WHYDROP_BENCH_USAGE: usageFile,
      // Nothing was ever fixed here: the journal of this machine is not looked at.
      WHYDROP_STATE_DIR: join(directory, 'state'),
    },
  );
  const began: Partial<Record<Stage, number>> = {};
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    for (const [stage, title] of Object.entries(STAGES) as [Stage, string][]) {
      if (began[stage] !== undefined || !stderr.includes(title)) continue;
      began[stage] = performance.now() - startedAt;
      if (stage === 'window') onWindow();
    }
  });
  try {
    const endedAt = await new Promise<number>((resolve, reject) => {
      let exitedAt = 0;
      child.once('error', reject);
      child.once('exit', () => {
        exitedAt = performance.now();
      });
      // After the last of its output.
      child.once('close', () => resolve(exitedAt));
    });
    const { starting, first, window, last, judging } = began;
    if (
      starting === undefined ||
      first === undefined ||
      window === undefined ||
      last === undefined ||
      judging === undefined
    ) {
      throw new Error(`whydrop report went through no window: ${stderr}${stdout}`);
    }
    return {
      report: JSON.parse(stdout) as Report,
      wallMs: endedAt - startedAt,
      beganMs: { starting, first, window, last, judging },
      usage: JSON.parse(await readFile(usageFile, 'utf8')) as Usage,
    };
  } finally {
    onWindow();
    await rm(directory, { recursive: true });
  }
}
