import type { ReportCause } from '../model/report.ts';
import { ok, type Reading } from '../model/reading.ts';
import { applyFix } from './apply.ts';
import type { FixEnvironment } from './environment.ts';
import { entryId, newSessionId, type JournalContents, type Session } from './journal.ts';
import {
  judgeFix,
  newCauses,
  stillLoses,
  type Judgement,
  type MeasuredCause,
  type Measurement,
  type Outcome,
} from './judge.ts';
import { keepEntry } from './keep.ts';
import { withJournal } from './open-journal.ts';
import type { FixPlan, PlannedFix } from './plan.ts';
import { previewFix, type FixPreview } from './preview.ts';
import { processStart } from './process-identity.ts';
import { restoreEntry, type RestoreResult } from './restore.ts';
import { closeSettled, describeUnfinished } from './unfinished.ts';

export interface FixRunOptions {
  /** Asked once for each fix, after its preview was made. A rejection ends the run. */
  readonly confirm: (preview: FixPreview) => Promise<boolean>;
  /** The measurement the plan rests on. */
  readonly before: Measurement;
  /** Measures again, as before. Absent: fixes stay unverified. */
  readonly measure?: () => Promise<Measurement>;
  readonly persist?: boolean;
  /** Aborted: the fix that is not judged yet is rolled back, and no other is tried. */
  readonly signal?: AbortSignal;
}

export interface FixResult {
  readonly fix: PlannedFix;
  /**
   * - `failed`: applied, did not help (or broke off half-way), rolled back
   * - `refused`: nothing was changed
   * - `declined`: the user said no
   * - `not-needed`: its cause was dealt with by an earlier fix
   */
  readonly outcome: Outcome | 'refused' | 'declined' | 'not-needed';
  /** One plain sentence. */
  readonly reason: string;
  /** What `whydrop undo` takes; absent when nothing was journalled. */
  readonly id?: string;
  readonly judgement?: Judgement;
  readonly newCauses?: readonly MeasuredCause[];
  /** Of `failed`: how the way back went. */
  readonly restore?: RestoreResult;
}

/**
 * Applies the fixes of a plan one after another: preview, confirm, journal, write, read back, measure
 * again, keep or roll back. Of the alternatives of one cause, the next is tried only when the one
 * before was rolled back, refused or declined.
 *
 * @returns not `ok`: nothing was touched at all, with the reason
 */
export async function runFixes(
  plan: FixPlan,
  environment: FixEnvironment,
  options: FixRunOptions,
): Promise<Reading<readonly FixResult[]>> {
  if (plan.refused !== undefined) return { status: 'not-applicable', reason: plan.refused };
  if (plan.apply.length === 0) return ok([]);
  return await withJournal(environment.stateDirectory, async (journal) => {
    const unfinished = await closeSettled(journal, environment);
    if (unfinished.length > 0) {
      return { status: 'denied', reason: describeUnfinished(unfinished) };
    }
    const id = await newSessionId(environment.stateDirectory, environment.now());
    const session: Session = { schema: 'whydrop.journal/1', id, entries: [] };
    return ok(await new FixRun(session, journal, environment, options).all(plan.apply));
  });
}

class FixRun {
  readonly #session: Session;
  readonly #journal: JournalContents;
  readonly #environment: FixEnvironment;
  readonly #options: FixRunOptions;
  /** The last measurement that describes the machine as it is. */
  #latest: Measurement;
  /** Why a cause needs no further fix in this run. */
  readonly #settled = new Map<ReportCause, string>();

  constructor(
    session: Session,
    journal: JournalContents,
    environment: FixEnvironment,
    options: FixRunOptions,
  ) {
    this.#session = session;
    this.#journal = journal;
    this.#environment = environment;
    this.#options = options;
    this.#latest = options.before;
  }

  async all(fixes: readonly PlannedFix[]): Promise<readonly FixResult[]> {
    const results: FixResult[] = [];
    for (const fix of fixes) {
      if (this.#aborted()) break;
      results.push(await this.#one(fix));
    }
    return results;
  }

  async #one(fix: PlannedFix): Promise<FixResult> {
    const { observe } = this.#environment;
    const settled = this.#settled.get(fix.cause) ?? this.#gone(fix.cause);
    if (settled !== undefined) {
      observe({ type: 'not-needed', fix, reason: settled });
      return { fix, outcome: 'not-needed', reason: settled };
    }
    const preview = await previewFix(fix, this.#environment, this.#options.persist);
    const misfit = preview.steps.find(({ problem }) => problem !== undefined)?.problem;
    if (misfit !== undefined) return this.#refused(fix, misfit);
    if (!(await this.#options.confirm(preview))) {
      observe({ type: 'declined', fix });
      return { fix, outcome: 'declined', reason: 'you said no' };
    }
    if (this.#aborted()) return this.#refused(fix, 'interrupted');
    return await this.#apply(fix);
  }

  async #apply(fix: PlannedFix): Promise<FixResult> {
    const processBefore = await startOfProcess(fix.cause);
    const applied = await applyFix(this.#session, fix, this.#environment);
    if (applied.status !== 'ok') return this.#refused(fix, applied.reason);
    const { entry, problem } = applied.value;
    const id = entryId(this.#session, entry);
    const rollBack = async (): Promise<RestoreResult> => {
      entry.outcome = 'failed';
      const sessions = [...this.#journal.sessions, this.#session];
      return await restoreEntry(this.#session, entry, this.#environment, {
        force: false,
        sessions,
      });
    };
    if (problem !== undefined) {
      const touched = entry.steps.some(({ state }) => state === 'written');
      const restore = await rollBack();
      if (!touched && restore.complete) return this.#refused(fix, problem);
      return { fix, id, outcome: 'failed', reason: problem, restore };
    }

    const before = this.#latest;
    const after = await this.#measure(fix);
    if (this.#aborted()) {
      const reason = 'interrupted before it could be verified';
      return { fix, id, outcome: 'failed', reason, restore: await rollBack() };
    }
    const restarted =
      processBefore !== undefined && processBefore !== (await startOfProcess(fix.cause));
    const judgement: Judgement =
      after.status === 'ok'
        ? judgeFix(before, after.value, fix.fix.expect, {
            takesEffect: fix.fix.takesEffect,
            restarted,
          })
        : { outcome: 'unverified', reason: after.reason };
    const appeared = after.status === 'ok' ? newCauses(fix.cause, before, after.value) : [];
    this.#environment.observe({ type: 'judged', fix, judgement, newCauses: appeared });
    const result = { fix, id, ...judgement, judgement, newCauses: appeared };
    if (judgement.outcome === 'failed') return { ...result, restore: await rollBack() };

    await keepEntry(this.#session, entry, this.#environment, {
      outcome: judgement.outcome,
      persist: this.#options.persist ?? false,
    });
    if (after.status === 'ok') this.#latest = after.value;
    this.#settled.set(
      fix.cause,
      judgement.outcome === 'verified'
        ? `${fix.name} has cured it`
        : `first see whether ${fix.name} helps`,
    );
    return result;
  }

  async #measure(fix: PlannedFix): Promise<Reading<Measurement>> {
    if (this.#options.measure === undefined) {
      return { status: 'not-applicable', reason: 'not measured again' };
    }
    this.#environment.observe({ type: 'measuring', fix });
    try {
      return ok(await this.#options.measure());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { status: 'crashed', reason: `the second measurement failed: ${why}` };
    } finally {
      this.#environment.checkpoint('measured');
    }
  }

  /** Cured along with another cause, as the last measurement says. */
  #gone(cause: ReportCause): string | undefined {
    if (this.#latest === this.#options.before || cause.packets === 0) return undefined;
    return stillLoses(cause, this.#latest) ? undefined : 'its cause no longer loses packets';
  }

  #refused(fix: PlannedFix, reason: string): FixResult {
    this.#environment.observe({ type: 'refused', fix, reason });
    return { fix, outcome: 'refused', reason };
  }

  #aborted(): boolean {
    return this.#options.signal?.aborted === true;
  }
}

/** Of the program that owns the socket in question, if the cause names one. */
async function startOfProcess({ scope }: ReportCause): Promise<string | undefined> {
  return scope.process === undefined ? undefined : await processStart(scope.process.pid);
}
