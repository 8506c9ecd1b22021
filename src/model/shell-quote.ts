import { invisible } from './invisible.ts';

/**
 * One line that a shell splits back into exactly `argv`, fit to be shown and copied. What a terminal
 * would not show as it is becomes an octal escape in `$'…'` (bash, ksh, zsh and POSIX.1-2024; dash has none).
 */
export function quoteArgv(argv: readonly string[]): string {
  return argv.map((word, index) => quote(word, index === 0)).join(' ');
}

function quote(word: string, isProgram: boolean): string {
  // `A=b` in front of a command is an assignment, not a program.
  const bare = isProgram ? /^[\w@%+:,./-]+$/ : /^[\w@%+=:,./-]+$/;
  if (bare.test(word)) return word;
  if (word.search(invisible) < 0) return `'${word.replaceAll("'", String.raw`'\''`)}'`;
  const escaped = word.replaceAll(/['\\]/g, String.raw`\$&`).replaceAll(invisible, octal);
  return `$'${escaped}'`;
}

/** Octal, because `\x` takes as many hex digits as follow in some shells. */
function octal(character: string): string {
  return Array.from(
    new TextEncoder().encode(character),
    (byte) => `\\${byte.toString(8).padStart(3, '0')}`,
  ).join('');
}
