import { stripVTControlCharacters } from 'node:util';

/** No tool prints longer ones; the rest of such a line is passed over. */
const MAX_LINE_CHARACTERS = 4096;
/** So much of the text is looked at for bytes that no text has. */
const BINARY_CHECK_BYTES = 64 * 1024;

/** Thrown by `readLines`: the input is no text. */
export class NotText extends Error {
  /** What it looks like, and what to do about it; undefined: no idea. */
  readonly hint: string | undefined;

  constructor(hint: string | undefined) {
    super('not text');
    this.hint = hint;
  }
}

/** What people hand over in place of text. By the first bytes, as file(1) does. */
const binaries: readonly { readonly starts: string; readonly hint: string }[] = [
  { starts: 'PERFILE2', hint: 'It is a perf.data file: perf script -i FILE | whydrop import -' },
  { starts: '\x1f\x8b', hint: 'It is compressed: zcat FILE | whydrop import -' },
  { starts: '\xfd7zXZ', hint: 'It is compressed: xzcat FILE | whydrop import -' },
  { starts: '(\xb5/\xfd', hint: 'It is compressed: zstdcat FILE | whydrop import -' },
  { starts: '\xff\xfe', hint: 'It is UTF-16: iconv -f UTF-16 -t UTF-8 FILE | whydrop import -' },
  { starts: '\xfe\xff', hint: 'It is UTF-16: iconv -f UTF-16 -t UTF-8 FILE | whydrop import -' },
  { starts: '\xd4\xc3\xb2\xa1', hint: 'It is a packet capture: those show packets, not drops.' },
  { starts: '\x0a\x0d\x0d\x0a', hint: 'It is a packet capture: those show packets, not drops.' },
];

/**
 * The lines of a text of any size, cleaned of what mail and terminals add: carriage returns, escape
 * sequences, quote marks (`> > `) in front. Memory does not grow with the text.
 *
 * @throws NotText
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let checked = 0;
  let rest = '';
  for await (const chunk of chunks) {
    if (checked < BINARY_CHECK_BYTES) refuseBinary(chunk, checked === 0);
    checked += chunk.length;
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE_CHARACTERS);
    for (const line of lines) yield clean(line);
  }
  rest += decoder.decode();
  if (rest !== '') yield clean(rest);
}

function refuseBinary(chunk: Uint8Array, isFirst: boolean): void {
  const start = Buffer.from(chunk.subarray(0, 8)).toString('latin1');
  const known = isFirst ? binaries.find(({ starts }) => start.startsWith(starts)) : undefined;
  if (known !== undefined || chunk.includes(0)) throw new NotText(known?.hint);
}

function clean(line: string): string {
  let text = line.length > MAX_LINE_CHARACTERS ? line.slice(0, MAX_LINE_CHARACTERS) : line;
  if (text.includes('\x1b')) text = stripVTControlCharacters(text);
  return text.replace(/\r+$/, '').replace(/^(?:\s*>)+ ?/, '');
}
