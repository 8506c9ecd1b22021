import type { Expectation } from '../model/fix.ts';
import type { ReportCause } from '../model/report.ts';

/** One window of measurement: what src/engine/diagnose.ts returns, in the parts that verification needs. */
export interface Measurement {
  readonly seconds: number;
  /** How far each counter rose, by `<check id> <counter>`. */
  readonly rises: ReadonlyMap<string, number>;
  readonly causes: readonly MeasuredCause[];
}

export type MeasuredCause = Pick<
  ReportCause,
  'id' | 'title' | 'packets' | 'packetsPerSecond' | 'scope'
>;

export type Outcome = 'verified' | 'unverified' | 'failed';

export interface Judgement {
  readonly outcome: Outcome;
  /** One plain sentence. */
  readonly reason: string;
  /** Of the expected counter, per second; absent where it could not be compared. */
  readonly rate?: { readonly before: number; readonly after: number };
}

/** What must be known besides the counters. */
export interface Circumstances {
  readonly takesEffect: 'at-once' | 'new-sockets';
  /** The program of the cause has started anew since, so its sockets are new. */
  readonly restarted: boolean;
}

/** Cured: at most this part of the former rate is left. Gone traffic: less than this part of it is there. */
const SMALL_PART = 0.1;

/**
 * Whether a fix worked. Pure.
 *
 * `failed` only when the counter still rises at more than a tenth of its former rate; when there is less
 * traffic than before, at more than a tenth of what that traffic would have cost.
 * `verified` only when the traffic is still there and the counter is not rising like that.
 * Everything else is `unverified`: it stays, and nobody claims that it helped.
 */
export function judgeFix(
  before: Measurement,
  after: Measurement,
  expectation: Expectation | undefined,
  { takesEffect, restarted }: Circumstances,
): Judgement {
  if (expectation === undefined) return unverified('nothing measurable is expected of it');
  const loss = ratesOf(expectation.counter, before, after);
  const traffic = ratesOf(expectation.traffic, before, after);
  if (loss === undefined) return unverified(`${expectation.counter} could not be measured`);
  if (loss.before === 0) return unverified(`${expectation.counter} was not rising before`, loss);
  if (takesEffect === 'new-sockets' && !restarted) {
    return unverified(
      'it counts for new sockets only: restart the program, then measure again',
      loss,
    );
  }

  // NaN: no traffic in either window. More than before, or traffic that only now gets through, is all of it.
  const share = traffic === undefined ? 1 : Math.min(1, traffic.after / traffic.before);
  const enough = traffic !== undefined && share >= SMALL_PART;
  const tolerated = SMALL_PART * loss.before * (enough ? share : 1);
  if (loss.after > tolerated) {
    return { outcome: 'failed', reason: `${expectation.counter} still rises`, rate: loss };
  }
  if (traffic === undefined)
    return unverified(`${expectation.traffic} could not be measured`, loss);
  if (!enough) return unverified('there was hardly any traffic to tell', loss);
  const reason =
    loss.after === 0
      ? `${expectation.counter} no longer rises`
      : `${expectation.counter} rises far more slowly`;
  return { outcome: 'verified', reason, rate: loss };
}

/**
 * Causes that were not there before: loss often moves one layer up (ring, backlog, socket buffer).
 * The costliest first; only those that cost at least a tenth of what the cured one did.
 */
export function newCauses(
  cured: MeasuredCause,
  before: Measurement,
  after: Measurement,
): readonly MeasuredCause[] {
  const known = new Set(before.causes.map(causeKey));
  return after.causes
    .filter((cause) => !known.has(causeKey(cause)) && cause.packets > 0)
    .filter(({ packetsPerSecond }) => packetsPerSecond >= SMALL_PART * cured.packetsPerSecond)
    .sort((one, other) => other.packetsPerSecond - one.packetsPerSecond);
}

/** Whether `measurement` still finds the cause, with packets lost to it. */
export function stillLoses(cause: MeasuredCause, measurement: Measurement): boolean {
  const key = causeKey(cause);
  return measurement.causes.some((found) => causeKey(found) === key && found.packets > 0);
}

/** One cause at one place. The process id is left out: a restarted program has the same trouble. */
function causeKey({ id, scope }: MeasuredCause): string {
  return JSON.stringify([
    id,
    scope.netns,
    scope.interface,
    scope.cpu,
    scope.process?.name,
    scope.socket,
    scope.rule,
    scope.flow,
  ]);
}

function unverified(reason: string, rate?: Judgement['rate']): Judgement {
  return { outcome: 'unverified', reason, ...(rate && { rate }) };
}

/** Undefined: not measured in both windows, or a window without length. */
function ratesOf(
  counter: string,
  before: Measurement,
  after: Measurement,
): { before: number; after: number } | undefined {
  const [first, second] = [rateOf(counter, before), rateOf(counter, after)];
  return first === undefined || second === undefined ? undefined : { before: first, after: second };
}

function rateOf(counter: string, { rises, seconds }: Measurement): number | undefined {
  const rise = rises.get(counter);
  return rise === undefined || !(rise >= 0) || !(seconds > 0) ? undefined : rise / seconds;
}
