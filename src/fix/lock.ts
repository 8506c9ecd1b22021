import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';

import { COMMAND_ENVIRONMENT } from '../host/command.ts';
import { errnoOf } from '../host/errno.ts';
import { ok, unread, type Reading } from '../model/reading.ts';

export interface Lock {
  /** Idempotent. */
  release(): Promise<void>;
}

/** What flock(1) exits with when another one holds the lock (`-E` is not in busybox). */
const HELD = 1;

/**
 * Keeps a second whydrop from changing settings at the same time.
 *
 * flock(2), not a file with a process id: the kernel drops the lock when its holder dies, however it
 * dies, so there is no stale lock and no race to take one over. Node has no flock, but the lock
 * belongs to the open file, which flock(1) shares with us: it locks and ends, the lock stays ours.
 * (By spawn: the types of execa take no descriptor of ours.)
 */
export async function acquireLock(directory: string): Promise<Reading<Lock>> {
  let file: FileHandle;
  try {
    file = await open(
      path.join(directory, 'lock'),
      constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW,
      0o600,
    );
  } catch (error) {
    const errno = errnoOf(error) ?? String(error);
    return unread('denied', `the lock in ${directory} cannot be opened (${errno})`);
  }
  const exitCode = await lockOpenFile(file);
  if (exitCode !== 0) {
    const holder = await holderOf(file);
    await file.close();
    return exitCode === HELD
      ? unread('denied', `another whydrop${holder} is changing settings: wait until it is done`)
      : unread('absent', 'flock (of util-linux or busybox) is needed to change settings safely');
  }
  // For the message above only. On a full disk it is missing there.
  await nameHolder(file).catch(() => undefined);
  return ok({ release: () => file.close() });
}

/** Exit code of flock(1); undefined: it could not be run. */
async function lockOpenFile({ fd }: FileHandle): Promise<number | undefined> {
  return await new Promise((resolve) => {
    const child = spawn('flock', ['-n', '0'], {
      env: COMMAND_ENVIRONMENT,
      stdio: [fd, 'ignore', 'ignore'],
      timeout: 5000,
    });
    child.once('error', () => {
      resolve(undefined);
    });
    child.once('exit', (code) => {
      resolve(code ?? undefined);
    });
  });
}

async function nameHolder(file: FileHandle): Promise<void> {
  await file.truncate(0);
  await file.write(`${process.pid}\n`, 0);
}

async function holderOf(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0);
  const pid = /^\d+/.exec(buffer.toString('latin1', 0, bytesRead))?.[0];
  return pid === undefined ? '' : ` (process ${pid})`;
}
