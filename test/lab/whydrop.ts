import { execa } from 'execa';
import { fileURLToPath } from 'node:url';
import type { Report } from '../../src/model/report.ts';

const program = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const untilStdinEnds = fileURLToPath(new URL('window.mjs', import.meta.url));

export type Backend = 'bpf' | 'tracefs';

export interface Run {
  /** Resolves when the window is open: from now on every drop is in the report. */
  readonly watching: Promise<void>;
  readonly done: Promise<{ exitCode: number; stdout: string; stderr: string }>;
}

/** Starts the built program as a user would, with its own state directory. */
export function whydrop(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  return startNode([program, ...args], env);
}

/** What to diagnose, and how: one process does it under all the captures at once. Each of them it can have once. */
export interface View {
  /** Null: the initial one. */
  readonly netns: string | null;
  readonly captures: readonly Backend[];
}

/**
 * Diagnoses several views of the same traffic at once. Their windows open before it and close after it.
 *
 * @returns the reports in the order of the views and of their captures, and the result of the traffic
 */
export async function diagnoseDuring<Result>(
  views: readonly View[],
  traffic: () => Promise<Result>,
): Promise<{ reports: readonly Report[]; result: Result }> {
  const closing = new AbortController();
  const runs = views.map((view) =>
    startNode([untilStdinEnds, JSON.stringify(view)], {}, closing.signal),
  );
  try {
    await Promise.all(runs.map(({ watching }) => watching));
    const result = await traffic();
    closing.abort();
    const reports = await Promise.all(runs.map(async ({ done }) => reportsOf(await done)));
    return { reports: reports.flat(), result };
  } finally {
    closing.abort();
    await Promise.all(runs.map(({ done }) => done));
  }
}

function reportsOf({ exitCode, stdout, stderr }: Awaited<Run['done']>): readonly Report[] {
  try {
    return JSON.parse(stdout) as readonly Report[];
  } catch {
    throw new Error(`no report (exit code ${exitCode}): ${stderr}${stdout}`);
  }
}

/** @param closeStdin when to; absent: there is none */
function startNode(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  closeStdin?: AbortSignal,
): Run {
  const child = execa(process.execPath, args, {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    extendEnv: false,
    reject: false,
    stdin: closeStdin === undefined ? 'ignore' : 'pipe',
    timeout: 100_000,
  });
  closeStdin?.addEventListener('abort', () => child.stdin?.end());
  const watching = new Promise<void>((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Watch drops')) resolve();
    });
    child.once('exit', () => reject(new Error(`whydrop ended before it watched: ${said}`)));
  });
  // Not everybody waits for it.
  watching.catch(() => {});
  const done = child.then(({ exitCode, stdout, stderr }) => ({
    exitCode: exitCode ?? -1,
    stdout,
    stderr,
  }));
  return { watching, done };
}
