import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';

import { ok, unread, type Reading } from '../model/reading.ts';
import { errnoOf, unreadFile } from './errno.ts';
import { inPlace } from './in-place.ts';
import { here, type Within } from './visits.ts';

const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** seq_file tables give about a page per read whatever is asked. */
const READ_BYTES = 64 * 1024;
/** Less room than this is not worth a read. */
const LEAST_BYTES = 4096;

/** O_NONBLOCK: a FIFO that lies where a configuration file is expected must not hang us. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * The whole text of one file. The size is found by reading: procfs says 0 and sysfs says 4096.
 *
 * @param shownAs the path in messages, when the file is reached by another one
 * @param within where a file of procfs or sysfs is read
 */
export async function readTextFile(
  path: string,
  shownAs = path,
  within: Within = here,
): Promise<Reading<string>> {
  let file: OpenFile | undefined;
  try {
    const start = isInMemory(path)
      ? await inPlace(() => within(() => readStart(path)))
      : await openInPool(path);
    if (typeof start === 'string') return ok(start);
    file = start;
    const bytes = await readToEnd(file, within);
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
  /** What was read already. */
  readonly start: Buffer;
  /** @returns bytes read; 0 at the end */
  read(buffer: Buffer, within: Within): number | Promise<number>;
  close(): void | Promise<void>;
}

/** Of whichever file is being read, within one turn. */
const startBuffer = Buffer.allocUnsafe(READ_BYTES);

/** The text of a file that two reads find the end of, as nearly all do; else the file, read so far. */
function readStart(path: string): string | OpenFile {
  const fd = openSync(path, OPEN_FLAGS);
  try {
    const first = readSync(fd, startBuffer);
    const second = first === 0 ? 0 : readSync(fd, startBuffer, first, READ_BYTES - first, null);
    if (second === 0 && first < READ_BYTES) {
      closeSync(fd);
      return startBuffer.toString('utf8', 0, first);
    }
    return {
      start: Buffer.from(startBuffer.subarray(0, first + second)),
      read: (buffer, within) => inPlace(() => within(() => readSync(fd, buffer))),
      close() {
        closeSync(fd);
      },
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function openInPool(path: string): Promise<OpenFile> {
  const file = await open(path, OPEN_FLAGS);
  return {
    start: Buffer.alloc(0),
    async read(buffer) {
      const { bytesRead } = await file.read(buffer);
      return bytesRead;
    },
    close: () => file.close(),
  };
}

/** Undefined: the file is too large. */
async function readToEnd(file: OpenFile, within: Within): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [file.start];
  let total = file.start.length;
  let buffer = Buffer.allocUnsafe(READ_BYTES);
  for (;;) {
    const bytes = await file.read(buffer, within);
    if (bytes === 0) return Buffer.concat(chunks, total);
    total += bytes;
    if (total > MAX_FILE_BYTES) return undefined;
    chunks.push(buffer.subarray(0, bytes));
    // What is left of a buffer serves the next read: a table of a megabyte comes in 300 pieces.
    const rest = buffer.subarray(bytes);
    buffer = rest.length >= LEAST_BYTES ? rest : Buffer.allocUnsafe(READ_BYTES);
  }
}

/** Names in a directory, sorted. */
export async function listDirectory(
  path: string,
  shownAs = path,
  within: Within = here,
): Promise<Reading<readonly string[]>> {
  try {
    const names = await (isInMemory(path)
      ? inPlace(() => within(() => readdirSync(path)))
      : readdir(path));
    return ok(names.sort());
  } catch (error) {
    const errno = errnoOf(error) ?? String(error);
    if (errno === 'ENOENT') return unread('absent', `${shownAs}: no such directory`);
    if (errno === 'ENOTDIR') return unread('malformed', `${shownAs}: not a directory`);
    return unreadFile(shownAs, errno);
  }
}
