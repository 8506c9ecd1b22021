import type { FixEvent, StepRestore } from '../fix/events.ts';
import type { ListedFix } from '../fix/listed-fix.ts';
import type { FixPlan } from '../fix/plan.ts';
import type { FixPreview, StepPreview } from '../fix/preview.ts';
import type { FixResult } from '../fix/run.ts';
import type { UnfinishedFix } from '../fix/unfinished.ts';
import type { Reading } from '../model/reading.ts';
import { Page, type Content, type PageOptions } from '../render/page.ts';

/** A paragraph, or a command to copy. */
export type Line =
  | { readonly text: string | Content; readonly label?: string; readonly indent?: number }
  | { readonly command: string; readonly indent: number };

/** Wraps lines for the terminal; nothing from the machine gets there raw. No lines are no text. */
export function layOut(lines: readonly Line[], look: PageOptions): string {
  if (lines.length === 0) return '';
  const page = new Page(look);
  for (const line of lines) {
    const { indent = 0 } = line;
    if ('command' in line) page.command(line.command, indent);
    else {
      const content = typeof line.text === 'string' ? [line.text] : line.text;
      page.paragraph(content, indent, line.label === undefined ? [] : [line.label]);
    }
  }
  return page.toString();
}

export const plainLines = (...texts: readonly string[]): readonly Line[] =>
  texts.map((text) => ({ text }));

/** Columns of what follows a label. */
const LABELLED = 11;

function labelled(label: string, text: string): Line {
  return { label: `  ${label}`, text, indent: LABELLED };
}

/** What will not be applied, and why. Nothing when everything will be. */
export function planLines(plan: FixPlan): readonly Line[] {
  const printed = plan.printed.flatMap(({ name, fix, why }): Line[] => [
    { text: `${name}: ${fix.title} (${why})`, indent: 2 },
    ...fix.steps.map((step) =>
      step.kind === 'manual'
        ? { text: step.text, indent: 4 }
        : { command: step.command, indent: 4 },
    ),
  ]);
  return [
    ...(plan.refused === undefined ? [] : plainLines(`Nothing is changed: ${plan.refused}.`)),
    ...plainLines(
      ...plan.unknown.map((name) => `${name}: no such cause or fix in this report.`),
      ...(printed.length > 0 ? ['Not applied by whydrop:'] : []),
    ),
    ...printed,
    ...(plan.apply.length === 0
      ? plainLines('There is nothing that whydrop can apply itself.')
      : []),
  ];
}

/** Current and new value, who else sets it, what it costs, how to take it back. */
export function previewLines({ fix: { fix }, steps, persist }: FixPreview): readonly Line[] {
  return [
    {
      text: [
        { text: fix.title, style: 'title' },
        { text: `[risk: ${fix.risk}]`, tag: true },
      ],
    },
    ...steps.flatMap(stepLines),
    labelled('Cost', fix.cost),
    ...(fix.takesEffect === 'new-sockets'
      ? [labelled('Then', 'Counts for sockets opened from then on: restart the program.')]
      : []),
    ...(persist === undefined
      ? []
      : [
          labelled('At boot', `Set again from ${persist.file}.`),
          ...persist.warnings.map((warning) => labelled('Mind', warning)),
        ]),
    labelled('Undo', '`whydrop undo`, or by hand:'),
    ...steps.map(({ undoCommand }) => ({ command: undoCommand, indent: LABELLED })),
  ];
}

function stepLines({ key, where, current, to, problem, alsoChanges, boot }: StepPreview): Line[] {
  const now = current.status === 'ok' ? current.value : `unreadable (${current.reason})`;
  const winner = boot?.winner;
  return [
    labelled('Change', `${key}: ${now} → ${to} (${where})`),
    ...(problem === undefined ? [] : [labelled('', `Cannot be applied: ${problem}`)]),
    ...(alsoChanges.length === 0
      ? []
      : [labelled('', `The kernel changes along: ${alsoChanges.join(', ')}`)]),
    ...(winner === undefined
      ? []
      : [
          labelled(
            '',
            `At boot ${winner.file} sets it to ${winner.value ?? ''}: that comes back, unless --persist.`,
          ),
        ]),
  ];
}

/** What just happened; nothing for what the results repeat. */
export function eventLines(event: FixEvent): readonly Line[] {
  switch (event.type) {
    case 'written': {
      const kernel = event.adjusted ? ` (the kernel made it ${event.became})` : '';
      return plainLines(`Set ${event.key}: ${event.from} → ${event.to}${kernel}, ${event.where}`);
    }
    case 'measuring':
      return plainLines('Measuring again, to see whether it helped');
    case 'restored':
      return plainLines(restoreText(event.step));
    case 'persisted':
      return plainLines(`Wrote ${event.keys.join(', ')} to ${event.file}`);
    case 'warning':
      return plainLines(`Mind: ${event.text}`);
    case 'journalled':
    case 'refused':
    case 'declined':
    case 'not-needed':
    case 'judged':
      return [];
  }
}

function restoreText({ key, where, result, to, reason }: StepRestore): string {
  switch (result) {
    case 'restored':
      return `Restored ${key} = ${to}, ${where}`;
    case 'already':
      return `${key} is ${to} already, ${where}`;
    case 'gone':
    case 'changed-since':
    case 'failed':
      return `Not restored: ${reason ?? `${key}: ${result}`}`;
  }
}

const OUTCOMES: Readonly<Record<FixResult['outcome'], string>> = {
  verified: 'Cured',
  unverified: 'Applied, not verified',
  failed: 'Did not help, rolled back',
  refused: 'Refused',
  declined: 'Left alone',
  'not-needed': 'Not needed',
};

export function resultLines(results: Reading<readonly FixResult[]>): readonly Line[] {
  if (results.status !== 'ok') return plainLines(`Nothing was changed: ${results.reason}.`);
  return results.value.flatMap(({ fix, id, outcome, reason, judgement, newCauses = [] }) => {
    const rate = judgement?.rate;
    const rates =
      rate === undefined
        ? ''
        : ` (${rate.before.toFixed(1)}/s before, ${rate.after.toFixed(1)}/s after)`;
    return [
      { text: `${OUTCOMES[outcome]}: ${fix.name}: ${reason}${rates}` },
      ...newCauses.map(({ title, packets }) => ({
        text: `New since: ${title} (${packets} packets)`,
        indent: 2,
      })),
      ...(id !== undefined && outcome !== 'failed'
        ? [{ text: `Take it back with: whydrop undo ${id}`, indent: 2 }]
        : []),
    ];
  });
}

export function unfinishedLines(unfinished: readonly UnfinishedFix[]): readonly Line[] {
  if (unfinished.length === 0) return [];
  return [
    ...plainLines('An earlier run of whydrop was interrupted while it changed settings:'),
    ...unfinished.flatMap(listedLines),
    ...unfinished.map(({ id }) => ({ text: `Put the old values back with: whydrop undo ${id}` })),
  ];
}

const PHASES: Readonly<Record<ListedFix['phase'], string>> = {
  applying: 'not finished',
  measuring: 'not finished',
  kept: 'kept',
  restoring: 'not all put back',
  restored: 'put back',
};

export function listedLines(fix: ListedFix): readonly Line[] {
  const { id, name, phase, outcome, steps, persisted } = fix;
  const state = phase === 'kept' && outcome !== null ? `kept, ${outcome}` : PHASES[phase];
  return [
    { text: [{ text: id, style: 'title' }, `: ${name} (${state})`] },
    ...steps.map(({ key, where, before, to, live }) => {
      const now = live.status === 'ok' ? live.value : live.reason;
      return { text: `${key}: ${before} → ${to}, now ${now} (${where})`, indent: 2 };
    }),
    ...(persisted.length > 0 ? [{ text: `Also at boot: ${persisted.join(', ')}`, indent: 2 }] : []),
  ];
}
