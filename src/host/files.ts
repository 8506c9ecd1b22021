import { constants } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';

import { ok, unread, type Reading } from '../model/reading.ts';
import { errnoOf, unreadFile } from './errno.ts';

const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** A sysctl fits the first read; seq_file tables give about a page per read whatever is asked. */
const FIRST_READ_BYTES = 4096;
const NEXT_READ_BYTES = 64 * 1024;

/** O_NONBLOCK: a FIFO that lies where a configuration file is expected must not hang us. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * The whole text of one file. The size is found by reading: procfs says 0 and sysfs says 4096.
 *
 * @param shownAs the path in messages, when the file is reached by another one
 */
export async function readTextFile(path: string, shownAs = path): Promise<Reading<string>> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, OPEN_FLAGS);
    const bytes = await readToEnd(file);
    if (bytes === undefined) return unread('malformed', `${shownAs}: larger than 64 MiB`);
    return ok(bytes.toString('utf8'));
  } catch (error) {
    return unreadFile(shownAs, errnoOf(error) ?? String(error));
  } finally {
    await file?.close();
  }
}

/** Undefined: the file is too large. */
async function readToEnd(file: FileHandle): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let total = 0;
  let size = FIRST_READ_BYTES;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size), 0, size);
    if (bytesRead === 0) return Buffer.concat(chunks, total);
    total += bytesRead;
    if (total > MAX_FILE_BYTES) return undefined;
    chunks.push(buffer.subarray(0, bytesRead));
    size = NEXT_READ_BYTES;
  }
}

/** Names in a directory, sorted. */
export async function listDirectory(
  path: string,
  shownAs = path,
): Promise<Reading<readonly string[]>> {
  try {
    return ok((await readdir(path)).sort());
  } catch (error) {
    const errno = errnoOf(error) ?? String(error);
    if (errno === 'ENOENT') return unread('absent', `${shownAs}: no such directory`);
    if (errno === 'ENOTDIR') return unread('malformed', `${shownAs}: not a directory`);
    return unreadFile(shownAs, errno);
  }
}
