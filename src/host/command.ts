import { execFile, type ExecFileException } from 'node:child_process';
import { accessSync, constants } from 'node:fs';

import type { CommandOutput, RunOptions } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { builtIn } from './built-in.ts';
import { here, type Within } from './visits.ts';

/** Administrators' tools live in sbin, which the PATH of a plain user or of cron often lacks. */
const DIRECTORIES = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
] as const;

/** Nothing of our own environment reaches a child: LD_PRELOAD, IFS and the like stay out. */
export const COMMAND_ENVIRONMENT = { PATH: DIRECTORIES.join(':'), LC_ALL: 'C' } as const;

const DEFAULT_TIMEOUT_MS = 5000;

/** In characters. `ss` on a host with a million sockets prints about this much. */
const MAX_OUTPUT = 256 * 1024 * 1024;

/** After SIGKILL a process can still hang in the kernel (state D); then we go on without it. */
const KILL_GRACE_MS = 500;

/**
 * Runs a program without a shell and waits for its end. By node's own means: every report starts
 * programs before its window, and loading execa takes as long as all of them.
 *
 * @param wrapper a command that runs `argv` elsewhere (`nsenter … --`)
 * @param within where the program is started
 */
export async function runCommand(
  argv: readonly [string, ...string[]],
  options: RunOptions = {},
  wrapper: readonly string[] = [],
  within: Within = here,
): Promise<Reading<CommandOutput>> {
  const [name] = argv;
  const own = builtIn(name);
  if (own !== undefined) return own(within);
  for (const program of new Set([name, ...wrapper.slice(0, 1)])) {
    if (!isInstalled(program)) return unread('absent', `${program}: not installed`);
  }

  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const [file = name, ...args] = [...wrapper, ...argv];
  const ended = await execute(file, args, timeoutMs, within);
  if (ended === undefined)
    return unread('timeout', `${name}: no answer within ${timeoutMs / 1000} s`);
  const { error, stdout, stderr } = ended;
  if (error === null) return ok({ stdout, stderr, exitCode: 0 });
  if (typeof error.code === 'number') return ok({ stdout, stderr, exitCode: error.code });
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
    return unread('malformed', `${name}: printed more than 256 MiB`);
  }
  if (error.code === 'EACCES') return unread('denied', `${name}: may not be run`);
  return unread('crashed', `${name}: did not end normally (${error.signal ?? error.message})`);
}

function isInstalled(program: string): boolean {
  const candidates = program.includes('/')
    ? [program]
    : DIRECTORIES.map((directory) => `${directory}/${program}`);
  return candidates.some((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      // Not in this directory, or not executable.
      return false;
    }
  });
}

interface Ended {
  /** Null: it ended with code 0. */
  readonly error: ExecFileException | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Undefined: it did not end in time. */
async function execute(
  file: string,
  args: readonly string[],
  timeoutMs: number,
  within: Within,
): Promise<Ended | undefined> {
  return new Promise((resolve) => {
    const options = {
      cwd: '/',
      env: COMMAND_ENVIRONMENT,
      maxBuffer: MAX_OUTPUT,
    } as const;
    try {
      let timedOut = false;
      const child = within(() =>
        execFile(file, args, options, (error, stdout, stderr) => {
          clearTimeout(deadline);
          // One that had ended while we were too busy to see it has answered in time.
          resolve(timedOut && error?.signal === 'SIGKILL' ? undefined : { error, stdout, stderr });
        }),
      );
      // It may be gone before its input is closed.
      child.stdin?.on('error', () => undefined).end();
      // Not the timeout of execFile: that throws away what was printed, even by a program that ended well.
      let deadline = setTimeout(() => {
        timedOut = true;
        child.kill('SIGKILL');
        deadline = setTimeout(() => {
          child.unref();
          child.stdout?.destroy();
          child.stderr?.destroy();
          resolve(undefined);
        }, KILL_GRACE_MS);
      }, timeoutMs);
    } catch (error) {
      // Arguments the kernel does not take: too long, or with a NUL in them.
      resolve({
        error: error instanceof Error ? error : new Error(String(error)),
        stdout: '',
        stderr: '',
      });
    }
  });
}
