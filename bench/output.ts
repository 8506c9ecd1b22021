import { holds, type Breakdown, type Figure, type Section } from './figure.ts';

/** The tables a reader sees. */
export function renderText(sections: readonly Section[]): string {
  return sections.map((section) => `${renderSection(section)}\n`).join('\n');
}

function renderSection({ title, figures, breakdowns, notes }: Section): string {
  const rows = [
    ['', 'measured', 'goal', 'holds', 'how'],
    ...figures.map((figure) => [
      figure.what,
      amount(figure.value, figure.unit),
      goalOf(figure),
      { true: 'yes', false: 'NO', undefined: '' }[`${holds(figure)}`],
      figure.command,
    ]),
  ];
  return [
    title,
    '='.repeat(title.length),
    ...columns(rows),
    ...breakdowns.flatMap(renderBreakdown),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ].join('\n');
}

function renderBreakdown({ title, rows }: Breakdown): string[] {
  return ['', `${title}:`, ...columns(rows).map((line) => `  ${line}`)];
}

/** The first column is text, the others are aligned to the right, but for a last one of text. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const count = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || cell.includes('whydrop')
          ? cell.padEnd(widths[column] ?? 0)
          : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

function goalOf({ goal, unit }: Figure): string {
  if (goal === undefined) return '';
  return 'atMost' in goal ? `≤ ${amount(goal.atMost, unit)}` : `≥ ${amount(goal.atLeast, unit)}`;
}

function amount(value: number, unit: Figure['unit']): string {
  return `${value.toFixed({ '×': 3, s: 2, ms: 0, ns: 0, MB: 0, events: 0 }[unit])} ${unit}`;
}

/** `whydrop.bench/1`: the figures with their goals, and the tables as they are. */
export function renderJson(sections: readonly Section[], machine: object): string {
  const withVerdicts = sections.map((section) => ({
    ...section,
    figures: section.figures.map((figure) => ({ ...figure, holds: holds(figure) ?? null })),
  }));
  return `${JSON.stringify({ schema: 'whydrop.bench/1', machine, sections: withVerdicts }, null, 2)}\n`;
}
