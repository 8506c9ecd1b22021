import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/**
 * Puts `text` into a file so that after a crash or power cut there is either the old file or the new
 * one, whole: new file, fsync, rename, fsync of the directory. Throws the system's error.
 *
 * The name of the new file is fixed, hidden and does not end like the real one: what a kill left
 * behind is overwritten next time, and sysctl.d(5) does not read it.
 */
export async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const fresh = freshName(file);
  try {
    const handle = await open(
      fresh,
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
      mode,
    );
    try {
      await handle.chmod(mode);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(path.dirname(file));
}

/** Removes a file for good. Throws the system's error; a file that is not there is none. */
export async function removeFile(file: string): Promise<void> {
  await rm(freshName(file), { force: true });
  await rm(file, { force: true });
  await syncDirectory(path.dirname(file));
}

/** A new or renamed name survives a power cut only once its directory is on disk. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function freshName(file: string): string {
  return path.join(path.dirname(file), `.${path.basename(file)}.new`);
}
