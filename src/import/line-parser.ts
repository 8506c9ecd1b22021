import type { ImportFormat } from '../model/import-report.ts';

/** Finds the output of one tool among the lines of a text. */
export interface LineParser {
  readonly format: ImportFormat;
  /**
   * Looks at the next line. The parser that took the line before is asked first, so that a line
   * without a mark of its own (a stack frame, a row of a table) goes to whoever began the block.
   *
   * @returns whether the line is of this format
   */
  take(line: string): boolean;
  /** No more lines belong to what was begun. */
  end(): void;
}
