import type { Verdict } from '../model/report.ts';
import type { Page, Span } from './page.ts';
import type { VerdictText } from './verdict-text.ts';

/** Only the verdict itself starts at the edge: no name, however it wraps, can pass for one. */
export async function writeVerdict(
  page: Page,
  { word, headline, details }: VerdictText,
  { style, plain }: { style: Verdict; plain: boolean },
): Promise<void> {
  const first: Span[] = [
    { text: `${word}: `, style },
    { text: headline, style: 'title' },
  ];
  if (plain) {
    page.paragraph(first);
    for (const detail of details) page.paragraph([detail], 2);
    return;
  }
  // Frame and padding take two columns on each side.
  const width = page.width - 4;
  const text = [
    ...page.wrap(first, width),
    ...details.flatMap((detail) => page.wrap([detail], width - 2)).map((line) => `  ${line}`),
  ].join('\n');
  const { default: boxen } = await import('boxen');
  const box = boxen(text, {
    // Else boxen asks stdout for the width, which may not be where the text goes.
    width: page.width,
    padding: { left: 1, right: 1 },
    borderStyle: 'round',
  });
  // Painted here, because boxen decides about colour by itself.
  const frame = (part: string): string => page.paint({ text: part, style });
  page.ready(box.split('\n').map((line) => line.replaceAll(/^[╭╰].*$|^│|│$/g, frame)));
}
