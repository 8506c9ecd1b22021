import { invisible } from '../model/invisible.ts';
import type { ImportReport } from '../model/import-report.ts';
import type { Report } from '../model/report.ts';
import type { SelfCheck } from '../model/self-check.ts';

/**
 * A report, or what import or self-check say, as JSON, version 1, with a newline at the end. Characters that a
 * terminal would obey are escaped (JSON itself only escapes those below U+0020), so that it may be printed as it is.
 */
export function renderJson(
  report: Report | ImportReport | SelfCheck,
  options: { pretty?: boolean } = {},
): string {
  const json = JSON.stringify(report, undefined, options.pretty === true ? 2 : undefined);
  return `${json.replaceAll(invisible, (character) =>
    // The only line breaks in JSON text are those of its own layout.
    character === '\n' ? character : escapeUtf16(character),
  )}\n`;
}

function escapeUtf16(character: string): string {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('');
}
