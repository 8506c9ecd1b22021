import type { FixStep } from '../model/fix.ts';
import type { Report, ReportCause, ReportFix } from '../model/report.ts';
import { isWritableKey, isWritableValue } from './writable.ts';

export interface FixSelection {
  /** Cause ids or `cause-id/fix-id`. Absent: every fix that is safe to propose unasked. */
  readonly only?: readonly string[];
  readonly safeOnly?: boolean;
}

export type SysctlStep = Extract<FixStep, { kind: 'sysctl' }>;

/** A fix whydrop can apply, undo and verify. */
export interface PlannedFix {
  /** `cause-id/fix-id`. A cause found twice (two interfaces) has two fixes of one name. */
  readonly name: string;
  readonly cause: ReportCause;
  readonly fix: ReportFix;
  readonly steps: readonly SysctlStep[];
  /** As the user named it; null: the namespace whydrop runs in. */
  readonly netns: string | null;
}

/** A fix that is shown, not applied. */
export interface PrintedFix {
  readonly name: string;
  readonly cause: ReportCause;
  readonly fix: ReportFix;
  readonly why: string;
}

export interface FixPlan {
  /** Set: nothing may be applied at all. */
  readonly refused?: string;
  /** In the order of the causes; fixes of one cause are alternatives, the best first. */
  readonly apply: readonly PlannedFix[];
  readonly printed: readonly PrintedFix[];
  /** Names in `only` that no cause or fix has. */
  readonly unknown: readonly string[];
}

/** Sorts the fixes of a report into those to apply and those to print. Pure. */
export function planFixes(report: Report, selection: FixSelection = {}): FixPlan {
  const only = selection.only ?? [];
  const offered = report.causes.flatMap((cause) =>
    cause.fixes.map((fix) => ({ name: `${cause.id}/${fix.id}`, cause, fix })),
  );
  const unknown = only.filter(
    (wanted) => !offered.some(({ name, cause }) => wanted === name || wanted === cause.id),
  );
  const selected = offered.filter(
    ({ name, cause }) => only.length === 0 || only.includes(name) || only.includes(cause.id),
  );
  const refused = refusal(report);

  const apply: PlannedFix[] = [];
  const printed: PrintedFix[] = [];
  for (const candidate of selected) {
    const steps = candidate.fix.steps.filter((step) => step.kind === 'sysctl');
    const why = refused ?? whyNotApplied(candidate, steps, only, selection.safeOnly ?? false);
    if (why === undefined) {
      // A report is about one namespace; the engine names it in each scope unless it is whydrop's own.
      apply.push({ ...candidate, steps, netns: candidate.cause.scope.netns ?? null });
    } else {
      printed.push({ ...candidate, why });
    }
  }
  const settled = settleConflicts(apply);
  return {
    ...(refused !== undefined && { refused }),
    apply: settled.apply,
    printed: [...printed, ...settled.printed],
    unknown,
  };
}

function refusal(report: Report): string | undefined {
  return report.host.recorded
    ? 'this report comes from a recording or an import, not from this machine as it is now'
    : undefined;
}

type Candidate = Omit<PrintedFix, 'why'>;

function whyNotApplied(
  { name, cause, fix }: Candidate,
  steps: readonly SysctlStep[],
  only: readonly string[],
  safeOnly: boolean,
): string | undefined {
  const named = only.includes(name);
  if (steps.length === 0 && fix.steps.some(({ kind }) => kind === 'manual')) {
    return 'only you can do it';
  }
  if (fix.steps.length === 0 || fix.risk === 'none') return 'there is nothing to change';
  if (!fix.steps.every((step, index) => step === steps[index] || isFollowUp(fix, step))) {
    return 'it has steps that only you can take';
  }
  if (steps.some(({ key, to }) => !isWritableKey(key) || !isWritableValue(to))) {
    return 'it names a setting or a value that whydrop does not write';
  }
  if (steps.length > new Set(steps.map(({ key }) => key)).size) return 'it sets one key twice';
  if (safeOnly && fix.risk !== 'safe')
    return `its risk is '${fix.risk}', and only safe fixes were asked for`;
  if (fix.risk === 'disruptive' && !named) {
    return `it interrupts traffic: choose it by its name, ${name}`;
  }
  if (only.length > 0) return undefined;
  if (cause.packets === 0)
    return `no packet was lost to it while measuring: choose it by its name, ${name}`;
  if (cause.confidence === 'possible')
    return `the cause is only possible: choose it by its name, ${name}`;
  return undefined;
}

/** What is left to the administrator once the settings are made: restarting the program. */
function isFollowUp({ takesEffect }: ReportFix, step: FixStep): boolean {
  return takesEffect === 'new-sockets' && step.kind === 'manual';
}

/**
 * Two causes may want one key. The larger number serves both (limits and buffers); of other values the
 * first, from the cause that costs more. The loser's further alternatives wait as well: first see
 * what the winner does. Fixes of one cause never conflict, they are tried one after another.
 */
function settleConflicts(fixes: readonly PlannedFix[]): Pick<FixPlan, 'apply' | 'printed'> {
  let apply: PlannedFix[] = [];
  const winnerOf = new Map<ReportCause, PlannedFix>();
  for (const planned of fixes) {
    const rivals = apply.filter((kept) => kept.cause !== planned.cause && conflict(kept, planned));
    const winner = rivals.find((rival) => !setsMore(planned, rival));
    if (winner !== undefined && !winnerOf.has(planned.cause)) winnerOf.set(planned.cause, winner);
    if (winnerOf.has(planned.cause)) continue;
    for (const rival of rivals) {
      winnerOf.set(rival.cause, planned);
      const from = apply.indexOf(rival);
      apply = apply.filter(({ cause }, index) => cause !== rival.cause || index < from);
    }
    apply.push(planned);
  }
  const printed = fixes
    .filter((planned) => !apply.includes(planned))
    .map(({ name, cause, fix }) => {
      const winner = winnerOf.get(cause)?.name ?? 'another fix';
      return { name, cause, fix, why: `${winner} sets the same key: first see what it does` };
    });
  return { apply, printed };
}

function conflict(one: PlannedFix, other: PlannedFix): boolean {
  return sharedSteps(one, other).length > 0;
}

/** NaN (a list, a word) is not more than anything. */
function setsMore(one: PlannedFix, other: PlannedFix): boolean {
  return sharedSteps(one, other).some(([ours, theirs]) => Number(ours.to) > Number(theirs.to));
}

function sharedSteps(one: PlannedFix, other: PlannedFix): [SysctlStep, SysctlStep][] {
  return one.steps.flatMap((step) =>
    other.steps
      .filter(({ key }) => key === step.key)
      .filter(({ hostWide }) => (hostWide && step.hostWide) || one.netns === other.netns)
      .map((rival): [SysctlStep, SysctlStep] => [step, rival]),
  );
}
