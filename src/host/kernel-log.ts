import { closeSync, constants, openSync, readSync } from 'node:fs';

import { ok, type Reading } from '../model/reading.ts';
import { errnoOf, unreadFile } from './errno.ts';
import { inPlace } from './in-place.ts';

const PATH = '/dev/kmsg';
/** The kernel refuses to cut a record, and none is longer (PRINTK_MESSAGE_MAX, Linux 6.18). */
const RECORD_BYTES = 8192;
/** Old records of a large log are many; between so many others have their turn. */
const RECORDS_IN_A_TURN = 1000;
/** A window with more is a storm of messages: the first ones tell. */
const MAX_MESSAGES = 10_000;

/** The log of the kernel, from the first reading on. It is one for all network namespaces. */
export class KernelLog {
  #fd: number | undefined;

  /**
   * What was logged since the call before, oldest first; the first call only finds the end, for node cannot seek.
   * Each is the text of one record, without its level and its fields.
   */
  async next(): Promise<Reading<readonly string[]>> {
    try {
      if (this.#fd !== undefined) return ok(await readRecords(this.#fd));
      this.#fd = openSync(PATH, constants.O_RDONLY | constants.O_NONBLOCK);
      await readRecords(this.#fd);
      return ok([]);
    } catch (error) {
      return unreadFile(PATH, errnoOf(error) ?? String(error));
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

async function readRecords(fd: number): Promise<readonly string[]> {
  const messages: string[] = [];
  const buffer = Buffer.allocUnsafe(RECORD_BYTES);
  const readSome = (): 'more' | 'end' => {
    for (let count = 0; count < RECORDS_IN_A_TURN; count += 1) {
      const bytes = readRecord(fd, buffer);
      if (bytes === 'end') return 'end';
      if (bytes !== 'overwritten' && messages.length < MAX_MESSAGES) {
        messages.push(messageOf(buffer.toString('utf8', 0, bytes)));
      }
    }
    return 'more';
  };
  while ((await inPlace(readSome)) === 'more');
  return messages;
}

/** One read is one record (Documentation/ABI/testing/dev-kmsg). @returns its length */
function readRecord(fd: number, buffer: Buffer): number | 'end' | 'overwritten' {
  try {
    const bytes = readSync(fd, buffer);
    return bytes === 0 ? 'end' : bytes;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EAGAIN') return 'end';
    // Newer records took the place of this one while we read; the next read finds the oldest there is.
    if (errno === 'EPIPE') return 'overwritten';
    throw error;
  }
}

/** `6,1234,5678901,-;text`, then lines with fields, which begin with a blank. */
function messageOf(record: string): string {
  const [line = ''] = record.split('\n', 1);
  return line.slice(line.indexOf(';') + 1);
}
