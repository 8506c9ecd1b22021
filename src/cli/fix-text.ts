import type { FixEvent, StepRestore } from '../fix/events.ts';
import type { ListedFix } from '../fix/listed-fix.ts';
import type { FixPlan } from '../fix/plan.ts';
import type { FixPreview, StepPreview } from '../fix/preview.ts';
import type { FixResult } from '../fix/run.ts';
import type { Reading } from '../model/reading.ts';
import type { UnfinishedFix } from '../fix/unfinished.ts';
import { printable } from '../render/printable.ts';

/** What will be applied, and what only the administrator can do. */
export function planText(plan: FixPlan): string {
  const lines: string[] = [];
  if (plan.refused !== undefined) lines.push(`Nothing is changed: ${plan.refused}.`);
  for (const name of plan.unknown) lines.push(`${name}: no such cause or fix in this report.`);
  if (plan.printed.length > 0) lines.push('Not applied by whydrop:');
  for (const { name, fix, why } of plan.printed) {
    lines.push(`  ${name}: ${fix.title} (${why})`);
    for (const step of fix.steps)
      lines.push(`    ${step.kind === 'manual' ? step.text : step.command}`);
  }
  if (plan.apply.length === 0) lines.push('There is nothing that whydrop can apply itself.');
  return lines.length === 0 ? '' : text(['', ...lines]);
}

/** Current and new value, who else sets it, what it costs, how to take it back. */
export function previewText({ fix, steps, persist }: FixPreview): string {
  const lines = [
    '',
    `${fix.name}: ${fix.fix.title}`,
    `  Risk: ${fix.fix.risk}. Cost: ${fix.fix.cost}.`,
  ];
  for (const step of steps) lines.push(...stepLines(step));
  if (fix.fix.takesEffect === 'new-sockets') {
    lines.push('  Counts for sockets opened from then on: restart the program afterwards.');
  }
  if (persist !== undefined)
    lines.push(
      `  Kept over a reboot in ${persist.file}.`,
      ...persist.warnings.map((warning) => `  Mind: ${warning}`),
    );
  return text(lines);
}

function stepLines(step: StepPreview): string[] {
  const current =
    step.current.status === 'ok' ? step.current.value : `unreadable (${step.current.reason})`;
  const lines = [`  ${step.key}: ${current} -> ${step.to} (${step.where})`];
  if (step.problem !== undefined) lines.push(`    Cannot be applied: ${step.problem}`);
  if (step.alsoChanges.length > 0)
    lines.push(`    The kernel changes along: ${step.alsoChanges.join(', ')}`);
  const boot = step.boot?.winner;
  if (boot !== undefined)
    lines.push(`    At boot ${boot.file} sets it to ${boot.value}; that returns unless --persist`);
  lines.push(`    Undo: ${step.undoCommand}`);
  return lines;
}

/** One line for what just happened; nothing for what the results repeat. */
export function eventText(event: FixEvent): string {
  switch (event.type) {
    case 'written': {
      const kernel = event.adjusted ? ` (the kernel made it ${event.became})` : '';
      return text([`Set ${event.key}: ${event.from} -> ${event.to}${kernel}, ${event.where}`]);
    }
    case 'measuring':
      return text(['Measuring again, to see whether it helped']);
    case 'restored':
      return text([restoreLine(event.step)]);
    case 'persisted':
      return text([`Wrote ${event.keys.join(', ')} to ${event.file}`]);
    case 'warning':
      return text([`Mind: ${event.text}`]);
    case 'journalled':
    case 'refused':
    case 'declined':
    case 'not-needed':
    case 'judged':
      return '';
  }
}

export function restoreLine({ key, where, result, to, reason }: StepRestore): string {
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

export function resultsText(plan: FixPlan, results: Reading<readonly FixResult[]>): string {
  if (results.status !== 'ok') return text([`Nothing was changed: ${results.reason}.`]);
  const lines = results.value.flatMap(({ fix, id, outcome, reason, judgement, newCauses = [] }) => {
    const rate = judgement?.rate;
    const rates =
      rate === undefined
        ? ''
        : ` (${rate.before.toFixed(1)}/s before, ${rate.after.toFixed(1)}/s after)`;
    return [
      `${OUTCOMES[outcome]}: ${fix.name}: ${reason}${rates}`,
      ...newCauses.map(({ title, packets }) => `  New since: ${title} (${packets} packets)`),
      ...(id !== undefined && outcome !== 'failed'
        ? [`  Take it back with: whydrop undo ${id}`]
        : []),
    ];
  });
  return plan.apply.length === 0 ? '' : text(['', ...lines]);
}

export function unfinishedText(unfinished: readonly UnfinishedFix[]): string {
  if (unfinished.length === 0) return '';
  return text([
    'An earlier run of whydrop was interrupted while it changed settings:',
    ...unfinished.flatMap((fix) => listedLines(fix)),
    ...unfinished.map(({ id }) => `Restore the old values with: whydrop undo ${id}`),
  ]);
}

export function listedLines({
  id,
  appliedAt,
  name,
  phase,
  outcome,
  steps,
  persisted,
}: ListedFix): string[] {
  return [
    `${id}  ${name}  ${appliedAt}  ${phase}${outcome === null ? '' : `, ${outcome}`}`,
    ...steps.map(({ key, where, before, to, live }) => {
      const now = live.status === 'ok' ? live.value : live.reason;
      return `  ${key}: ${before} -> ${to}, now ${now} (${where})`;
    }),
    ...(persisted.length > 0 ? [`  also at boot: ${persisted.join(', ')}`] : []),
  ];
}

/** Joins lines for the terminal; nothing from the machine gets there raw. */
export function text(lines: readonly string[]): string {
  return lines.map((line) => `${printable(line)}\n`).join('');
}
