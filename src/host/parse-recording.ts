import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGunzip } from 'node:zlib';

import { ok, unread, type Reading } from '../model/reading.ts';
import { errnoOf, unreadFile } from './errno.ts';
import { JsonBudget } from './json-budget.ts';
import {
  MAX_LINE_BYTES,
  MAX_RECORDING_BYTES,
  RECORDING_FORMAT,
  type RecordedReading,
  type RecordedWait,
  type RecordingHeader,
} from './recording-format.ts';
import { headerSchema, lineSchema } from './recording-schema.ts';

export interface Recording {
  readonly header: RecordingHeader;
  readonly readings: readonly RecordedReading[];
  readonly waits: readonly RecordedWait[];
}

type Chunks = AsyncIterable<Buffer>;

const CHUNK_BYTES = 256 * 1024;

/** What is wrong with a recording, in words for the user. Does not leave this file. */
class BadRecording extends Error {}

/**
 * Reads and checks a recording. It may come from anyone: sizes are bounded before anything is parsed,
 * every line is validated, and nothing in it is taken as a path or a command.
 *
 * One that was cut off (a copy that broke, a full disk) is read as far as it goes, with a note: what
 * is there is still true, and a reading that is missing leaves a rule not judged, never passed.
 * One with a bad line elsewhere is refused: then no line can be trusted.
 */
export async function parseRecording(path: string): Promise<Reading<Recording>> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  try {
    return await parseLines(splitLines(await decompressed(bounded(file))), path);
  } catch (error) {
    if (error instanceof BadRecording) return unread('malformed', `${path}: ${error.message}`);
    const errno = errnoOf(error);
    if (errno?.startsWith('Z_') === true) {
      return unread('malformed', `${path}: the compressed recording is damaged`);
    }
    return unreadFile(path, errno ?? String(error));
  } finally {
    file.destroy();
  }
}

async function parseLines(lines: AsyncIterable<Line>, path: string): Promise<Reading<Recording>> {
  const budget = new JsonBudget();
  const readings: RecordedReading[] = [];
  const waits: RecordedWait[] = [];
  let header: RecordingHeader | undefined;
  let ended = false;
  let number = 0;

  for await (const line of lines) {
    number += 1;
    const value = parseJson(line.bytes, budget);
    if (header === undefined) {
      header = parseHeader(value);
      continue;
    }
    if (value === undefined && !line.complete && !ended) break;
    const parsed = lineSchema.safeParse(value);
    if (!parsed.success || ended) {
      throw new BadRecording(`line ${number} is not part of a recording`);
    }
    if (parsed.data.op === 'end') ended = true;
    else if (parsed.data.op === 'wait') waits.push(parsed.data);
    else readings.push(parsed.data);
  }
  if (header === undefined) throw new BadRecording('the file is empty');
  const notes = ended ? [] : [`${path} is cut off: the readings at its end are missing`];
  return ok({ header, readings, waits }, notes);
}

function parseHeader(value: unknown): RecordingHeader {
  const format =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  const version = /^whydrop\.recording\/(\d{1,9})$/.exec(String(format))?.[1];
  if (version === undefined) throw new BadRecording('not a recording of whydrop');
  if (format !== RECORDING_FORMAT) {
    throw new BadRecording(
      `a recording of version ${version}, made by another version of whydrop; this one reads version 1`,
    );
  }
  const header = headerSchema.safeParse(value);
  if (!header.success) throw new BadRecording('the first line is not the header of a recording');
  return header.data;
}

/** Undefined: not JSON. */
function parseJson(line: Buffer, budget: JsonBudget): unknown {
  if (!budget.allows(line)) throw new BadRecording('it holds more values than any real recording');
  try {
    return JSON.parse(line.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

async function* bounded(chunks: Chunks): AsyncGenerator<Buffer> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > MAX_RECORDING_BYTES) throw new BadRecording('larger than 512 MiB');
    yield chunk;
  }
}

/** Goes by the first bytes, not by the name: files get renamed. */
async function decompressed(source: Chunks): Promise<Chunks> {
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new BadRecording('the file is empty');
  const all = (async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  const isGzip = first.value[0] === 0x1f && first.value[1] === 0x8b;
  if (!isGzip) return all;

  // Z_SYNC_FLUSH: input that ends too early is no error, so what came before is not lost.
  const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH, chunkSize: CHUNK_BYTES });
  // Errors reach the reader of gunzip.
  pipeline(Readable.from(all), gunzip).catch(() => undefined);
  return bounded(gunzip);
}

interface Line {
  readonly bytes: Buffer;
  /** False: the last line, without a line break. */
  readonly complete: boolean;
}

async function* splitLines(chunks: Chunks): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, start);
      const part = chunk.subarray(start, end === -1 ? undefined : end);
      parts.push(part);
      length += part.length;
      if (length > MAX_LINE_BYTES) throw new BadRecording('a line is longer than 256 MiB');
      if (end === -1) break;
      yield { bytes: Buffer.concat(parts, length), complete: true };
      parts = [];
      length = 0;
      start = end + 1;
    }
  }
  if (length > 0) yield { bytes: Buffer.concat(parts, length), complete: false };
}
