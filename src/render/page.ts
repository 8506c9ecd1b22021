import { styleText } from 'node:util';

import { ascii, printable, printableCommand } from './printable.ts';

export interface PageOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly color: boolean;
  /** ASCII only, no box. */
  readonly plain: boolean;
}

export type Style = keyof typeof formats;

/** A piece of a paragraph. */
export interface Span {
  readonly text: string;
  readonly style?: Style;
  /** Not broken at its spaces, and set off by two columns. */
  readonly tag?: true;
}

/** Spans one after another; whatever space they need is in their texts. */
export type Content = readonly (string | Span)[];

const formats = {
  title: ['bold'],
  critical: ['bold', 'red'],
  warning: ['bold', 'yellow'],
  notice: ['bold'],
  ok: ['bold', 'green'],
  unknown: ['bold', 'magenta'],
  label: ['dim'],
  source: ['dim'],
  command: ['cyan'],
} as const;

/** Narrower terminals fold the lines themselves; wider lines are hard to read. */
const MIN_WIDTH = 40;
const MAX_WIDTH = 120;

/**
 * Lines of text of a given width. Every text passes `printable` here and nowhere else, so that nothing
 * the machine named reaches the terminal raw.
 */
export class Page {
  readonly width: number;
  readonly #lines: string[] = [];
  readonly #options: PageOptions;

  constructor(options: PageOptions) {
    this.#options = options;
    this.width = Math.min(Math.max(options.width, MIN_WIDTH), MAX_WIDTH);
  }

  /** An empty line, never two in a row and never the first. */
  gap(): void {
    if (this.#lines.length > 0 && this.#lines.at(-1) !== '') this.#lines.push('');
  }

  /** Wrapped text; all lines start at `indent`. `lead` (a label, a bullet) stands in front of the first. */
  paragraph(content: Content, indent = 0, lead: Content = []): void {
    const heads = lead.map((item) => this.#piece(item));
    const used = heads.reduce((sum, { text }) => sum + cells(text), 0);
    const first = this.#paintLine(heads) + ' '.repeat(Math.max(indent - used, 0));
    for (const [index, line] of this.wrap(content, this.width - indent).entries()) {
      this.#lines.push((index === 0 ? first : ' '.repeat(indent)) + line);
    }
  }

  /** A command to copy: on its own line, whole, however long. */
  command(text: string, indent: number): void {
    const command = { text: printableCommand(text), style: 'command' } as const;
    this.#lines.push(' '.repeat(indent) + this.paint(command));
  }

  /** Lines laid out elsewhere (the box) from text that `wrap` returned. */
  ready(lines: readonly string[]): void {
    this.#lines.push(...lines);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  /** Printable and painted lines of at most `width` columns. */
  wrap(content: Content, width: number): string[] {
    const lines: Piece[][] = [];
    let line: Piece[] = [];
    let used = 0;
    for (const word of this.#words(content).flatMap((word) => breakWord(word, width))) {
      const space = line.length === 0 ? 0 : word.tag ? 2 : 1;
      const size = wordCells(word);
      if (line.length > 0 && used + space + size > width) {
        lines.push(line);
        line = [...word.pieces];
        used = size;
      } else {
        // A space between two pieces of one style takes that style: one escape sequence, not three.
        line.push({ ...spaceStyle(line.at(-1), word), text: ' '.repeat(space) }, ...word.pieces);
        used += space + size;
      }
    }
    if (line.length > 0) lines.push(line);
    return lines.map((pieces) => this.#paintLine(pieces));
  }

  #words(content: Content): Word[] {
    const words: Word[] = [];
    let open: Piece[] = [];
    const close = (): void => {
      if (open.length > 0) words.push({ pieces: open, tag: false });
      open = [];
    };
    for (const item of content) {
      const piece = this.#piece(item);
      if (typeof item !== 'string' && item.tag) {
        close();
        words.push({ pieces: [piece], tag: true });
        continue;
      }
      for (const [index, text] of piece.text.split(' ').entries()) {
        if (index > 0) close();
        if (text !== '') open.push({ ...piece, text });
      }
    }
    close();
    return words;
  }

  #piece(item: string | Span): Piece {
    const { text, style }: Span = typeof item === 'string' ? { text: item } : item;
    const safe = printable(text);
    return { text: this.#options.plain ? ascii(safe) : safe, ...(style && { style }) };
  }

  #paintLine(pieces: readonly Piece[]): string {
    const runs: Piece[] = [];
    for (const piece of pieces) {
      const last = runs.at(-1);
      if (last?.style === piece.style && last !== undefined) {
        runs[runs.length - 1] = { ...last, text: last.text + piece.text };
      } else runs.push(piece);
    }
    return runs.map((run) => this.paint(run)).join('');
  }

  /** Colours a text that is printable already. */
  paint({ text, style }: Piece): string {
    if (!this.#options.color || style === undefined || text === '') return text;
    // The caller has decided about colour; Node would look at stdout and NO_COLOR once more.
    return styleText([...formats[style]], text, { validateStream: false });
  }
}

interface Piece {
  readonly text: string;
  readonly style?: Style;
}

interface Word {
  readonly pieces: readonly Piece[];
  readonly tag: boolean;
}

function spaceStyle(before: Piece | undefined, { pieces }: Word): { style?: Style } {
  const style = before?.style;
  return style !== undefined && style === pieces[0]?.style ? { style } : {};
}

/** Cuts a word that fits no line (a path, a hostile name). */
function breakWord(word: Word, width: number): Word[] {
  if (wordCells(word) <= width) return [word];
  const parts: Piece[][] = [[]];
  let used = 0;
  for (const piece of word.pieces) {
    for (const text of piece.text) {
      if (used + cells(text) > width) {
        parts.push([]);
        used = 0;
      }
      parts.at(-1)?.push({ ...piece, text });
      used += cells(text);
    }
  }
  return parts.map((pieces) => ({ pieces, tag: word.tag }));
}

function wordCells({ pieces }: Word): number {
  return pieces.reduce((sum, { text }) => sum + cells(text), 0);
}

// Unicode TR11: East Asian wide and emoji take two columns, combining marks none.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** Columns a printable text takes. */
function cells(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let sum = 0;
  for (const character of text) {
    if (!/[\p{Mn}\p{Me}]/u.test(character)) sum += WIDE.test(character) ? 2 : 1;
  }
  return sum;
}
