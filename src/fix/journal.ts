import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';

import { z } from 'zod';

import { errnoOf } from '../host/errno.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { replaceFile, syncDirectory } from './durable-file.ts';
import { isWritableKey, isWritableValue } from './writable.ts';

/**
 * The journal: what was changed, and how to change it back. One file per run of `whydrop fix`, in a
 * directory only root may enter. Each change of state replaces the whole file (old or new, never
 * half), so the file is always one valid document; what lies between two states is told by the live
 * values. Whoever reads it (a later release, a hostile disk) gets it through the schema below.
 */
const MAX_FILE_CHARACTERS = 8 * 1024 * 1024;
const fileName = /^(?<id>\d{8}-\d{6}(?:-\d{1,3})?)\.json$/;

const key = z.string().refine(isWritableKey, 'not a setting whydrop may write');
/** As the kernel printed it: tabs and the newline at the end included. */
const rawValue = z.string().regex(/^[\t\n\x20-\x7e]{0,4096}$/, 'not the text of a setting');
const words = z.string().regex(/^\P{Cc}{0,300}$/u, 'not a line of text');

const target = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('initial') }),
  z.strictObject({
    kind: z.literal('netns'),
    name: words,
    path: z.string().regex(/^\/\P{Cc}{1,4000}$/u, 'not an absolute path'),
    inode: z.string().regex(/^\d{1,20}$/, 'not an inode number'),
    mark: words,
    bootId: words,
  }),
]);

/** A setting that the kernel changed by itself when the step was written. */
const sideEffect = z.strictObject({
  key,
  before: rawValue,
  /** Null: killed before it was read. */
  after: rawValue.nullable(),
  /** What it must be after a restore under way. Null: none is, or it is not ours to change. */
  restoreTo: rawValue.nullable(),
});

const step = z.strictObject({
  key,
  target,
  before: rawValue,
  to: z.string().refine(isWritableValue, 'not a value'),
  /** What the kernel made of `to`. Null: not written, or killed before it was read back. */
  became: rawValue.nullable(),
  /**
   * - `planned`: perhaps written, the live value tells
   * - `written`: read back
   * - `restored`: the old value is back, or there is nothing any more that could have it
   */
  state: z.enum(['planned', 'written', 'restored']),
  sideEffects: z.array(sideEffect).max(50_000),
});

const entry = z.strictObject({
  /** From 1; the fix is known as `<session>.<number>`. */
  number: z.int().min(1).max(10_000),
  appliedAt: z.iso.datetime(),
  cause: words,
  causeTitle: words,
  fix: words,
  fixTitle: words,
  /**
   * - `applying`: steps are being written
   * - `measuring`: all are, the second measurement runs
   * - `kept`: it stays
   * - `restoring`: old values are coming back
   * - `restored`: they are back, or nothing was written
   */
  phase: z.enum(['applying', 'measuring', 'kept', 'restoring', 'restored']),
  /** What the second measurement said. */
  outcome: z.enum(['verified', 'unverified', 'failed']).nullable(),
  steps: z.array(step).min(1).max(100),
  /** Lines in our file of sysctl.d(5), from before they are written until after they are removed. */
  persisted: z.array(z.strictObject({ key, value: z.string().refine(isWritableValue) })).max(100),
});

const session = z.strictObject({
  schema: z.literal('whydrop.journal/1'),
  id: z.string().regex(/^\d{8}-\d{6}(?:-\d{1,3})?$/),
  entries: z.array(entry).min(1).max(10_000),
});

export type Session = z.infer<typeof session>;
export type JournalEntry = z.infer<typeof entry>;
export type JournalStep = z.infer<typeof step>;
export type JournalSideEffect = z.infer<typeof sideEffect>;

export interface JournalContents {
  /** Oldest first. */
  readonly sessions: readonly Session[];
  /** Files that are no journals of ours: never used, never removed. */
  readonly damaged: readonly { readonly file: string; readonly reason: string }[];
}

/** `20261121-230000.1`: what `whydrop undo` takes. */
export function entryId({ id }: Session, { number }: JournalEntry): string {
  return `${id}.${number}`;
}

/** Makes the directory, or refuses one that others could write to. */
export async function prepareStateDirectory(directory: string): Promise<Reading<null>> {
  try {
    const made = await mkdir(directory, { recursive: true, mode: 0o700 });
    if (made !== undefined) await syncDirectory(path.dirname(made));
    const found = await lstat(directory);
    if (!found.isDirectory()) return unread('denied', `${directory} is not a directory`);
    if (found.uid !== process.geteuid?.()) {
      return unread(
        'denied',
        `${directory} belongs to another user: the journal must not lie there`,
      );
    }
    if ((found.mode & 0o077) !== 0) {
      return unread('denied', `${directory} is open to others: run chmod 700 on it first`);
    }
    return ok(null);
  } catch (error) {
    return writeFailure(directory, error);
  }
}

/** A name that no file has yet: the moment, in UTC. */
export async function newSessionId(directory: string, now: Date): Promise<string> {
  const moment = now
    .toISOString()
    .replaceAll(/[-:]|\..*$/g, '')
    .replace('T', '-');
  const taken = new Set(await readdir(directory).catch(() => []));
  let id = moment;
  for (let count = 2; taken.has(`${id}.json`); count += 1) id = `${moment}-${count}`;
  return id;
}

/** Once this is `ok`, the session survives a power cut, and can be read again. */
export async function saveSession(directory: string, session: Session): Promise<Reading<null>> {
  const text = `${JSON.stringify(session, undefined, 2)}\n`;
  const readable = parseSession(text);
  if (readable.status !== 'ok') {
    return unread('malformed', `this change cannot be journalled: ${readable.reason}`);
  }
  try {
    await replaceFile(path.join(directory, `${session.id}.json`), text, 0o600);
    return ok(null);
  } catch (error) {
    return writeFailure(directory, error);
  }
}

/** All sessions on disk. No directory yet: none. */
export async function readJournal(directory: string): Promise<Reading<JournalContents>> {
  let names: string[];
  try {
    names = (await readdir(directory)).filter((name) => fileName.test(name)).sort(bySession);
  } catch (error) {
    const errno = errnoOf(error) ?? String(error);
    if (errno === 'ENOENT') return ok({ sessions: [], damaged: [] });
    return unread('denied', `the journal in ${directory} cannot be read (${errno})`);
  }
  const sessions: Session[] = [];
  const damaged: { file: string; reason: string }[] = [];
  for (const name of names) {
    const file = path.join(directory, name);
    const read = await readSessionFile(file);
    if (read.status === 'ok' && `${read.value.id}.json` === name) sessions.push(read.value);
    else damaged.push({ file, reason: read.status === 'ok' ? 'holds another id' : read.reason });
  }
  return ok({ sessions, damaged });
}

/** Validates the text of a journal file. Never throws. */
export function parseSession(text: string): Reading<Session> {
  if (text.length > MAX_FILE_CHARACTERS) return unread('malformed', 'larger than any journal');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return unread('malformed', 'not JSON');
  }
  const parsed = session.safeParse(document);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  return unread(
    'malformed',
    `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a journal'}`,
  );
}

async function readSessionFile(file: string): Promise<Reading<Session>> {
  try {
    const handle = await open(
      file,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const { size } = await handle.stat();
      // All of it is ASCII, and what is not is rejected anyway.
      if (size > MAX_FILE_CHARACTERS) return unread('malformed', 'larger than any journal');
      return parseSession(await handle.readFile('utf8'));
    } finally {
      await handle.close();
    }
  } catch (error) {
    return unread('denied', `cannot be read (${errnoOf(error) ?? String(error)})`);
  }
}

/** By moment, then by count: `….json`, `…-2.json`, `…-10.json`. */
function bySession(one: string, other: string): number {
  const [first, second] = [path.parse(one).name, path.parse(other).name];
  return first.localeCompare(second, 'en', { numeric: true });
}

function writeFailure(directory: string, error: unknown): Reading<never> {
  const errno = errnoOf(error) ?? String(error);
  const why =
    {
      ENOSPC: 'the disk is full',
      EDQUOT: 'the disk quota is used up',
      EROFS: 'the file system is read-only',
      EACCES: 'permission denied; run whydrop as root',
      EPERM: 'permission denied; run whydrop as root',
    }[errno] ?? errno;
  return unread('denied', `the journal in ${directory} cannot be written: ${why}`);
}
