import { counterSource, counterTitle, type Counter } from '../catalogue/counter.ts';
import type { Reason } from '../catalogue/reason.ts';
import { harmlessText, type TitleOfCause } from './catalogue-page.ts';

/** All drop reasons as one Markdown table: docs/reasons.md. Ends with a newline. */
export function renderReasonTable(reasons: readonly Reason[], titleOf: TitleOfCause): string {
  return tablePage(
    'Drop reasons',
    'What the reasons of the tracepoint `skb:kfree_skb` mean. `whydrop explain NAME` tells the same. The release is the one it was first seen in: earlier ones may have it, and vendors backport reasons.',
    ['Reason', 'Meaning', 'Harmless?', 'Causes', 'Linux'],
    reasons.map((reason) => [
      [reason.name, ...(reason.aliases ?? [])].map(code).join(', '),
      `**${reason.title}.** ${reason.meaning}`,
      harmlessText(reason),
      causeLinks(reason.causes, titleOf),
      reason.since ?? 'none',
    ]),
  );
}

/** All counters as one Markdown table: docs/counters.md. Ends with a newline. */
export function renderCounterTable(counters: readonly Counter[], titleOf: TitleOfCause): string {
  return tablePage(
    'Counters',
    'What the counters of the kernel that tell of loss mean. `whydrop explain NAME` tells the same. Only a rise counts: totals since boot are history.',
    ['Counter', 'Where', 'Meaning', 'Loss?', 'Causes'],
    counters.map((counter) => [
      code(counterTitle(counter)),
      code(counterSource(counter).source),
      counter.meaning,
      counter.loss,
      causeLinks(counter.causes, titleOf),
    ]),
  );
}

function tablePage(
  title: string,
  introduction: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    `# ${title}\n`,
    `${introduction}\n`,
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((cells) => line(cells.map((cell) => cell.replaceAll('|', '\\|')))),
    '',
  ].join('\n');
}

function causeLinks(causes: readonly string[], titleOf: TitleOfCause): string {
  return causes
    .map((id) => (titleOf(id) === undefined ? code(id) : `[${code(id)}](causes/${id}.md)`))
    .join(', ');
}

function code(text: string): string {
  return `\`${text}\``;
}
