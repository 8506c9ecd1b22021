import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';

import { ok, unread, type Reading } from '../model/reading.ts';
import { errnoOf, unreadFile } from './errno.ts';
import { inPlace } from './in-place.ts';

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
  let file: OpenFile | undefined;
  try {
    file = await (isInMemory(path) ? openInPlace(path) : openInPool(path));
    const bytes = await readToEnd(file);
    if (bytes === undefined) return unread('malformed', `${shownAs}: larger than 64 MiB`);
    return ok(bytes.toString('utf8'));
  } catch (error) {
    return unreadFile(shownAs, errnoOf(error) ?? String(error));
  } finally {
    await file?.close();
  }
}

/**
 * Files of procfs and sysfs never wait for a disk. Read in place, a sysctl costs 20 µs; through the
 * thread pool 200 µs, and four waits for a busy event loop (6.18, measured).
 */
function isInMemory(path: string): boolean {
  return path.startsWith('/proc/') || path.startsWith('/sys/');
}

interface OpenFile {
  /** @returns bytes read; 0 at the end */
  read(buffer: Buffer): number | Promise<number>;
  close(): void | Promise<void>;
}

async function openInPlace(path: string): Promise<OpenFile> {
  const fd = await inPlace(() => openSync(path, OPEN_FLAGS));
  return {
    read: (buffer) => inPlace(() => readSync(fd, buffer)),
    close() {
      closeSync(fd);
    },
  };
}

async function openInPool(path: string): Promise<OpenFile> {
  const file = await open(path, OPEN_FLAGS);
  return {
    async read(buffer) {
      const { bytesRead } = await file.read(buffer);
      return bytesRead;
    },
    close: () => file.close(),
  };
}

/** Undefined: the file is too large. */
async function readToEnd(file: OpenFile): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let total = 0;
  let buffer = Buffer.allocUnsafe(FIRST_READ_BYTES);
  for (;;) {
    const bytes = await file.read(buffer);
    if (bytes === 0) return Buffer.concat(chunks, total);
    total += bytes;
    if (total > MAX_FILE_BYTES) return undefined;
    chunks.push(buffer.subarray(0, bytes));
    // What is left of a buffer serves the next read: a table of a megabyte comes in 300 pieces.
    const rest = buffer.subarray(bytes);
    buffer = rest.length >= FIRST_READ_BYTES ? rest : Buffer.allocUnsafe(NEXT_READ_BYTES);
  }
}

/** Names in a directory, sorted. */
export async function listDirectory(
  path: string,
  shownAs = path,
): Promise<Reading<readonly string[]>> {
  try {
    const names = await (isInMemory(path) ? inPlace(() => readdirSync(path)) : readdir(path));
    return ok(names.sort());
  } catch (error) {
    const errno = errnoOf(error) ?? String(error);
    if (errno === 'ENOENT') return unread('absent', `${shownAs}: no such directory`);
    if (errno === 'ENOTDIR') return unread('malformed', `${shownAs}: not a directory`);
    return unreadFile(shownAs, errno);
  }
}
