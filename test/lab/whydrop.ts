import { execa } from 'execa';
import { fileURLToPath } from 'node:url';
import type { Report } from '../../src/model/report.ts';

const program = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export interface Run {
  /** Resolves when the window is open: from now on every drop is in the report. */
  readonly watching: Promise<void>;
  readonly done: Promise<{ exitCode: number; stdout: string; stderr: string }>;
}

/** Starts the built program as a user would, with its own state directory. */
export function whydrop(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const child = execa(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: 100_000,
  });
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

/** Runs a report while `traffic` flows, all of it within the window. */
export async function reportDuring(
  args: readonly string[],
  traffic: () => Promise<unknown>,
): Promise<{ report: Report; exitCode: number }> {
  const run = whydrop(['report', '--json', '--verbose', ...args]);
  await run.watching;
  await traffic();
  const { exitCode, stdout, stderr } = await run.done;
  try {
    return { report: JSON.parse(stdout) as Report, exitCode };
  } catch {
    throw new Error(`no report (exit code ${exitCode}): ${stderr}${stdout}`);
  }
}
