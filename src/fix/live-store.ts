import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

import { COMMAND_ENVIRONMENT, runCommand } from '../host/command.ts';
import { errnoOf } from '../host/errno.ts';
import { listDirectory, readTextFile } from '../host/files.ts';
import { ok, unread, type Reading, type Unread } from '../model/reading.ts';
import { sysctlPath } from '../model/sysctl-key.ts';
import { inTarget, locateNetns } from './netns-target.ts';
import type { SysctlStore } from './sysctl-store.ts';

const TIMEOUT_MS = 5000;

/** The kernel's own settings, below /proc/sys. Those of another namespace through nsenter(1). */
export const liveStore: SysctlStore = {
  locate: locateNetns,

  read: async (key, target) =>
    await withFile(key, async (file) =>
      inTarget(target, async (enterBy) => {
        if (enterBy === null) return await readTextFile(file, key);
        const output = await runCommand(['cat', file], { timeoutMs: TIMEOUT_MS }, enter(enterBy));
        if (output.status !== 'ok') return output;
        const { exitCode, stdout, stderr } = output.value;
        return exitCode === 0 ? ok(stdout) : refusal(key, stderr);
      }),
    ),

  write: async (key, target, value) =>
    await withFile(key, async (file) =>
      inTarget(target, async (enterBy) =>
        enterBy === null
          ? await writeHere(key, file, value)
          : await writeThere(key, file, value, enterBy),
      ),
    ),

  list: async (tree, target) =>
    await withFile(tree, async (directory) =>
      inTarget(target, async (enterBy) => {
        if (enterBy === null) return await listDirectory(directory, tree);
        const output = await runCommand(
          ['ls', '-1', directory],
          { timeoutMs: TIMEOUT_MS },
          enter(enterBy),
        );
        if (output.status !== 'ok') return output;
        const { exitCode, stdout, stderr } = output.value;
        if (exitCode !== 0) return refusal(tree, stderr);
        return ok(stdout.split('\n').filter((name) => name !== ''));
      }),
    ),
};

async function withFile<Result>(
  key: string,
  work: (file: string) => Promise<Reading<Result>>,
): Promise<Reading<Result>> {
  const file = sysctlPath(key);
  if (file === undefined) return unread('malformed', `${key}: not the name of a setting`);
  return await work(file);
}

function enter(path: string): readonly string[] {
  return ['nsenter', `--net=${path}`, '--'];
}

async function writeHere(key: string, path: string, value: string): Promise<Reading<null>> {
  let file: FileHandle | undefined;
  try {
    // Not O_CREAT: a key that has just gone must not become a question of what procfs answers.
    file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    await file.write(value);
    return ok(null);
  } catch (error) {
    return refusal(key, errnoOf(error) ?? String(error));
  } finally {
    await file?.close().catch(() => undefined);
  }
}

async function writeThere(
  key: string,
  file: string,
  value: string,
  enterBy: string,
): Promise<Reading<null>> {
  const { execa } = await import('execa');
  const result = await execa('nsenter', [`--net=${enterBy}`, '--', 'tee', file], {
    cwd: '/',
    env: COMMAND_ENVIRONMENT,
    extendEnv: false,
    input: value,
    stdout: 'ignore',
    reject: false,
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  if (result.exitCode === 0) return ok(null);
  return refusal(key, result.exitCode === undefined ? (result.shortMessage ?? '') : result.stderr);
}

/** What a failed read or write means, by errno name (direct) or by the message of cat, ls or tee. */
function refusal(key: string, error: string): Unread {
  if (/ENOENT|ENOTDIR|No such file/.test(error)) {
    return unread('absent', `${key}: no such setting here`);
  }
  if (/EINVAL|ERANGE|Invalid argument|out of range/.test(error)) {
    return unread('malformed', `${key}: the kernel refuses this value`);
  }
  if (/EACCES|EPERM|EROFS|denied|not permitted|Read-only/.test(error)) {
    return unread(
      'denied',
      `${key}: may not be changed from here (no root, or /proc/sys is read-only)`,
    );
  }
  return unread('crashed', `${key}: ${error.trim().slice(0, 200)}`);
}
