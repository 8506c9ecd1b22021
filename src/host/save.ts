import { randomBytes } from 'node:crypto';
import { open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { ok, unread, type Reading, type Unread } from '../model/reading.ts';
import { errnoOf } from './errno.ts';
import {
  MAX_LINE_BYTES,
  MAX_RECORDING_BYTES,
  type RecordingHeader,
  type RecordingLine,
} from './recording-format.ts';

export interface SavedRecording {
  /** Size of the file. */
  readonly bytes: number;
}

/**
 * Puts a recording into a file: new file in the same directory, fsync, rename. So there is never a
 * part of a recording under that name, not even on a full disk.
 */
export async function saveRecording(
  path: string,
  header: RecordingHeader,
  lines: readonly RecordingLine[],
): Promise<Reading<SavedRecording>> {
  // A rename onto /dev/null or /dev/stdout would replace the device.
  const existing = await stat(path).catch(() => undefined);
  if (existing !== undefined && !existing.isFile()) {
    return unread('malformed', `${path} is not a plain file: the recording is not saved`);
  }

  // Random and O_EXCL: in /tmp, another user could have put a link where a fixed name is expected.
  const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(fresh, 'wx', 0o600);
    try {
      await writeFile(file, serialize(header, lines, path.endsWith('.gz') ? gzipSync : asItIs));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
    return ok({ bytes: (await stat(path)).size });
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    return unsaved(path, error);
  }
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}

/**
 * JSON lines, in pieces of a size that is worth a write.
 *
 * @param encode gzip members in a row are one gzip file (RFC 1952)
 */
function* serialize(
  header: RecordingHeader,
  lines: readonly RecordingLine[],
  encode: (piece: Buffer) => Buffer,
): Generator<Buffer> {
  const pieceLength = 1024 * 1024;
  let total = 0;
  let piece = '';
  for (const line of [header, ...lines]) {
    const text = `${JSON.stringify(line)}\n`;
    const bytes = Buffer.byteLength(text);
    total += bytes;
    if (bytes > MAX_LINE_BYTES || total > MAX_RECORDING_BYTES) throw new TooLargeError();
    piece += text;
    if (piece.length >= pieceLength) {
      yield encode(Buffer.from(piece));
      piece = '';
    }
  }
  yield encode(Buffer.from(piece));
}

class TooLargeError extends Error {}

function unsaved(path: string, error: unknown): Unread {
  // RangeError: one reading alone is longer than a string of JavaScript can be.
  if (error instanceof TooLargeError || error instanceof RangeError) {
    return unread('malformed', 'the recording is larger than 512 MiB: record a shorter window');
  }
  const errno = errnoOf(error) ?? String(error);
  const why: Readonly<Record<string, string>> = {
    ENOSPC: 'the disk is full',
    EDQUOT: 'your disk quota is used up',
    EROFS: 'the file system is read-only',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    ENOENT: 'there is no such directory',
    ENOTDIR: 'a part of the path is not a directory',
    ENAMETOOLONG: 'the name is too long',
  };
  return unread('denied', `${path} cannot be written: ${why[errno] ?? errno}`);
}
