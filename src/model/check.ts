import type { CounterBits } from './counter.ts';
import type { DropCapture } from './drops.ts';
import type { Host } from './host.ts';
import type { Reading } from './reading.ts';

interface CheckBase {
  /** File name without extension: `softnet`. */
  readonly id: string;
  /** For people: `Per-CPU input queues`. */
  readonly title: string;
  /** Files and commands it reads, as an administrator would type them. */
  readonly sources: readonly string[];
  /** Without this source no verdict is possible: the report says `unknown` (exit code 3). */
  readonly core?: true;
}

/** Reads its source at both ends of the window (and between, when `sampleEveryMs` is set). */
export interface SampledCheck<Value> extends CheckBase {
  readonly kind: 'sampled';
  /** One reading must end within this. */
  readonly timeoutMs: number;
  readonly sampleEveryMs?: number;
  /**
   * Its value is the same in every network namespace. Where several are under diagnosis it is read once,
   * and a rule that needs it is judged once, for the whole machine.
   */
  readonly hostWide?: true;
  read(host: Host, context: ReadContext<Value>): Promise<Reading<Value>>;
  /** Monotonic counters in the value, under stable names, for verification and reconciliation. */
  counters?(value: Value): Iterable<readonly [name: string, value: bigint]>;
  /** How wide they all are in the kernel. Default: 64. */
  readonly counterBits?: CounterBits;
}

export interface ReadContext<Value> {
  readonly phase: 'first' | 'sample' | 'last';
  /** The first reading, when this is a later one: lets expensive look-ups wait until something moved. */
  readonly first?: Value;
  /** Interfaces the user asked for; empty: all. */
  readonly interfaces: readonly string[];
}

/** Watches the whole window (the drop capture). */
export interface WatchedCheck<Value> extends CheckBase {
  readonly kind: 'watched';
  start(host: Host, options: WatchOptions): Promise<Reading<Watch<Value>>>;
}

export interface WatchOptions {
  readonly capture: 'auto' | 'bpf' | 'tracefs' | 'none';
  /** As in CaptureOptions. */
  readonly netns?: number;
}

export interface Watch<Value> {
  mark(moment: 'window-open' | 'window-close'): void;
  stop(): Promise<Reading<Value>>;
}

/** Looks further into the drops that the capture saw: read once, after the window. */
export interface FollowUpCheck<Value> extends CheckBase {
  readonly kind: 'follow-up';
  readonly timeoutMs: number;
  /**
   * Not called where the capture does not tell network namespaces apart (tracefs).
   * @param capture with the drops of the namespace of `host` only
   */
  read(host: Host, capture: DropCapture): Promise<Reading<Value>>;
}

/** The engine handles checks of any value; rules get the exact type back through EvidenceOf. */
export type AnyCheck = SampledCheck<unknown> | WatchedCheck<unknown> | FollowUpCheck<unknown>;

/**
 * Readings of one source over the window. Counters must be compared, `first` to `last`: what is in
 * `last` alone is a since-boot total, which no rule may fire on. Settings are in `last`.
 */
export interface Sampled<Value> {
  readonly first: Value;
  readonly last: Value;
  /** All good readings in order, first and last included. */
  readonly samples: readonly Value[];
}

export type EvidenceOf<Check> =
  Check extends SampledCheck<infer Value>
    ? Sampled<Value>
    : Check extends WatchedCheck<infer Value> | FollowUpCheck<infer Value>
      ? Value
      : never;

export function defineCheck<Value>(
  check: Omit<SampledCheck<Value>, 'kind' | 'timeoutMs'> & { timeoutMs?: number },
): SampledCheck<Value> {
  return { timeoutMs: 3000, ...check, kind: 'sampled' };
}

export function defineWatch<Value>(check: Omit<WatchedCheck<Value>, 'kind'>): WatchedCheck<Value> {
  return { ...check, kind: 'watched' };
}

export function defineFollowUp<Value>(
  check: Omit<FollowUpCheck<Value>, 'kind' | 'timeoutMs'>,
): FollowUpCheck<Value> {
  return { timeoutMs: 3000, ...check, kind: 'follow-up' };
}
