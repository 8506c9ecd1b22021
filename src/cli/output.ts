import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from './usage-error.ts';

/** `whydrop report | head` must end quietly, as other tools do. */
export function endsWhenReaderLeaves(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(141);
      throw error;
    });
  }
}

/** Resolves when the text has left us, however slow the reader is. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Replaces the file whole or not at all. */
export async function writeReport(path: string, text: string): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  try {
    const file = await open(partial, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `cannot write the report to ${path}: ${reason}; is ${dirname(path)} writable, and not full?`,
    );
  }
}

export interface Look {
  readonly width: number;
  readonly color: boolean;
  readonly plain: boolean;
  readonly verbose: boolean;
}

/** How stdout wants its text: terminal width, NO_COLOR, TERM=dumb and ACCESSIBLE are honoured. */
export function lookOf(options: { color: string; plain: boolean; verbose: boolean }): Look {
  const { env, stdout } = process;
  const set = (name: string): boolean => (env[name] ?? '') !== '';
  const plain = options.plain || env.TERM === 'dumb' || set('ACCESSIBLE');
  const automatic = stdout.isTTY && !set('NO_COLOR') && !plain;
  return {
    width: Math.min(120, Math.max(40, stdout.isTTY ? stdout.columns : 100)),
    color: options.color === 'always' || (options.color === 'auto' && automatic),
    plain,
    verbose: options.verbose,
  };
}
