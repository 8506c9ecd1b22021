import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TextOptions } from '../render/text.ts';
import { UsageError } from './usage-error.ts';

export interface OutputFlags {
  format: 'text' | 'json';
  json?: boolean;
  output?: string;
  failOn: 'critical' | 'warning' | 'never';
  color: 'auto' | 'always' | 'never';
  plain?: boolean;
  quiet?: boolean;
  verbose?: boolean;
}

/** `whydrop report | head` must end quietly, as other tools do. */
export function endsWhenReaderLeaves(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // What else goes wrong with stdout, print() tells; with stderr, nobody can be told.
      if (error.code === 'EPIPE') process.exit(141);
    });
  }
}

/** Resolves when the text has left us, however slow the reader is. @throws UsageError on a full disk */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error) reject(new UsageError(`cannot write to standard output: ${error.message}`));
      else resolve();
    });
  });
}

/** To stdout, or into the file asked for. @throws UsageError when it cannot be written */
export async function deliver(text: string, { output }: OutputFlags): Promise<void> {
  if (output === undefined) await print(text);
  else await writeOutput(output, text, { what: 'the report', mode: 0o644 });
}

export interface OutputFile {
  /** `the report`: for the message of an error. */
  readonly what: string;
  /** Of a file that is made. */
  readonly mode: number;
}

/** To a file, a device or a pipe. @throws UsageError when it cannot be written */
export async function writeOutput(
  path: string,
  content: string | Uint8Array,
  { what, mode }: OutputFile,
): Promise<void> {
  try {
    const existing = await stat(path).catch(() => undefined);
    // A rename onto /dev/null or a named pipe would put a file in its place.
    if (existing === undefined || existing.isFile()) await replaceFile(path, content, mode);
    else await writeFile(path, content);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `cannot write ${what} to ${path}: ${reason}; is ${dirname(path)} writable, and not full?`,
    );
  }
}

/** The file is replaced whole or not at all; a link to it stays a link. */
async function replaceFile(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const partial = `${target}.${process.pid}.partial`;
  try {
    const file = await open(partial, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw error;
  }
}

export function wantsJson({ json, format }: OutputFlags): boolean {
  return json === true || format === 'json';
}

/** No box, no colour, nothing that moves: asked for, or for terminals and readers that need it. */
export function isPlain({ plain }: { plain?: boolean | undefined }): boolean {
  return plain === true || process.env['TERM'] === 'dumb' || isSet('ACCESSIBLE');
}

export type LookFlags = Partial<Pick<OutputFlags, 'color' | 'plain' | 'verbose'>>;

/** Off a terminal: a width that suits mail and editors. */
const FILE_COLUMNS = 100;

/** How text should look on a stream. */
export function lookOf(
  { color = 'auto', plain, verbose }: LookFlags,
  stream: NodeJS.WriteStream = process.stdout,
): TextOptions {
  const bare = isPlain({ plain });
  const automatic = stream.isTTY && !isSet('NO_COLOR') && !bare;
  return {
    width: stream.isTTY ? stream.columns : FILE_COLUMNS,
    color: color === 'always' || (color === 'auto' && automatic),
    plain: bare,
    verbose: verbose === true,
  };
}

/** How text should look in the file of -o. */
export function fileLook(flags: LookFlags): TextOptions {
  return { ...lookOf(flags), width: FILE_COLUMNS, color: false };
}

function isSet(name: string): boolean {
  return (process.env[name] ?? '') !== '';
}
