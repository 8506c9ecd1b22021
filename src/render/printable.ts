import { stripVTControlCharacters } from 'node:util';

import { invisible } from '../model/invisible.ts';

/** Longer than any sentence of a rule; names from the machine are far shorter. */
const MAX_LENGTH = 1000;

/**
 * One line of untrusted text, safe for a terminal: no escape sequences, control characters, bidi overrides
 * or zero-width characters; line breaks and odd spaces become a space. Cut with `…` beyond `maxLength`
 * characters.
 */
export function printable(text: string, maxLength = MAX_LENGTH): string {
  // Bounded before the escape sequences are looked for, so that a hostile megabyte costs nothing.
  const bounded = text.length > maxLength * 4 ? text.slice(0, maxLength * 4) : text;
  const clean = stripVTControlCharacters(bounded).replaceAll(invisible, (character) =>
    /\s/.test(character) && character !== '\ufeff' ? ' ' : '',
  );
  return clean.length > maxLength
    ? `${clean.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, '')}…`
    : clean;
}

/** A command to copy: made harmless, never cut, since half a command is another command. */
export function printableCommand(command: string): string {
  return printable(command, Number.MAX_SAFE_INTEGER);
}

const asciiFor: Readonly<Record<string, string>> = {
  '→': '->',
  '–': '-',
  '—': '-',
  '…': '...',
  '‘': "'",
  '’': "'",
  '“': '"',
  '”': '"',
  '×': 'x',
  '≥': '>=',
  '≤': '<=',
  '≈': '~',
  µ: 'u',
  μ: 'u',
};

/** For `--plain`: typography in ASCII, any other character by its code point, so that names stay distinct. */
export function ascii(text: string): string {
  return text
    .replaceAll(' · ', ', ')
    .replaceAll(
      /[^\0-\x7f]/gu,
      (character) => asciiFor[character] ?? `\\u{${character.codePointAt(0)?.toString(16)}}`,
    );
}
