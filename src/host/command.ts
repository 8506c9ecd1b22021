import { constants } from 'node:fs';
import { access } from 'node:fs/promises';

import type { CommandOutput, RunOptions } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';

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
 * Runs a program without a shell and waits for its end.
 *
 * @param wrapper a command that runs `argv` elsewhere (`nsenter … --`)
 */
export async function runCommand(
  argv: readonly [string, ...string[]],
  options: RunOptions = {},
  wrapper: readonly string[] = [],
): Promise<Reading<CommandOutput>> {
  const [name] = argv;
  for (const program of new Set([name, ...wrapper.slice(0, 1)])) {
    if (!(await isInstalled(program))) return unread('absent', `${program}: not installed`);
  }

  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const [file = name, ...args] = [...wrapper, ...argv];
  const { execa } = await import('execa');
  const child = execa(file, args, {
    cwd: '/',
    env: COMMAND_ENVIRONMENT,
    extendEnv: false,
    stdin: 'ignore',
    stripFinalNewline: false,
    reject: false,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT,
  });
  const result = await beforeDeadline(child, timeoutMs + KILL_GRACE_MS);

  if (result === undefined || result.timedOut) {
    return unread('timeout', `${name}: no answer within ${timeoutMs / 1000} s`);
  }
  if (result.isMaxBuffer) return unread('malformed', `${name}: printed more than 256 MiB`);
  if (result.exitCode === undefined) {
    if (result.code === 'EACCES') return unread('denied', `${name}: may not be run`);
    return unread('crashed', `${name}: ${result.shortMessage ?? 'did not end normally'}`);
  }
  return ok({ stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode });
}

async function isInstalled(program: string): Promise<boolean> {
  const candidates = program.includes('/')
    ? [program]
    : DIRECTORIES.map((directory) => `${directory}/${program}`);
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      return true;
    } catch {
      // Not in this directory, or not executable.
    }
  }
  return false;
}

/** Undefined: `work` did not end in time. */
async function beforeDeadline<Result>(
  work: PromiseLike<Result>,
  deadlineMs: number,
): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined);
    }, deadlineMs);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
