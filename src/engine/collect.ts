import type {
  AnyCheck,
  ReadContext,
  Sampled,
  SampledCheck,
  Watch,
  WatchedCheck,
} from '../model/check.ts';
import { rise } from '../model/counter.ts';
import type { Host, Phase } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';

export interface CollectOptions {
  /** Length of the window; 0 reads once: settings only. */
  readonly seconds: number;
  readonly capture: 'auto' | 'tracefs' | 'none';
  readonly interfaces: readonly string[];
  readonly onProgress?: (progress: Progress) => void;
  /** Ends the window early; what was seen until then is judged. */
  readonly signal?: AbortSignal;
}

export type Progress =
  | { readonly stage: 'starting' | 'first' | 'last' | 'judging' }
  | { readonly stage: 'window'; readonly seconds: number };

export interface Collected {
  readonly evidence: ReadonlyMap<AnyCheck, CheckResult>;
  /** How far each counter rose, by `<check id> <counter>`. */
  readonly rises: ReadonlyMap<string, number>;
  /** Counters that went down in the window: reset or wrapped, so nothing is known about them. */
  readonly wentDown: readonly string[];
  readonly seconds: number;
}

export interface CheckResult {
  /** Sampled<Value> or the watched value: what rules receive. */
  readonly reading: Reading<unknown>;
  readonly tookMs: number;
}

/**
 * Reads everything twice, with the capture between: captures start before the first reading and stop
 * after the last, so that no counted packet can be missing from the events for that reason.
 */
export async function collect(
  host: Host,
  checks: readonly AnyCheck[],
  options: CollectOptions,
): Promise<Collected> {
  const sampled = checks
    .filter((check) => check.kind === 'sampled')
    .map((check) => new Sampler(check));
  const watched = checks
    .filter((check) => check.kind === 'watched')
    .map((check) => new Watcher(check));

  options.onProgress?.({ stage: 'starting' });
  host.beginPhase('first');
  if (options.seconds > 0) {
    await Promise.all(watched.map((watcher) => watcher.start(host, options.capture)));
  }

  options.onProgress?.({ stage: 'first' });
  await Promise.all(sampled.map((sampler) => sampler.read(host, 'first', options)));
  for (const watcher of watched) watcher.mark('window-open');
  const openedAt = host.now();

  if (options.seconds > 0) {
    options.onProgress?.({ stage: 'window', seconds: options.seconds });
    await passWindow(host, sampled, options, openedAt);
  }
  const seconds = options.seconds > 0 ? (host.now() - openedAt) / 1000 : 0;
  for (const watcher of watched) watcher.mark('window-close');

  if (options.seconds > 0) {
    options.onProgress?.({ stage: 'last' });
    host.beginPhase('last');
    await Promise.all(sampled.map((sampler) => sampler.read(host, 'last', options)));
  }
  await Promise.all(watched.map((watcher) => watcher.stop()));

  const counters = sampled.flatMap((sampler) => sampler.counters());
  return {
    evidence: new Map([...sampled, ...watched].map((source) => [source.check, source.result()])),
    rises: new Map(counters.map(({ name, first, last }) => [name, rise(first, last)])),
    wentDown: counters.filter(({ first, last }) => last < first).map(({ name }) => name),
    seconds,
  };
}

/** Waits for the window to pass, with the readings between that some checks want. */
async function passWindow(
  host: Host,
  samplers: readonly Sampler[],
  options: CollectOptions,
  openedAt: number,
): Promise<void> {
  const windowMs = options.seconds * 1000;
  const dueMs = new Set(samplers.flatMap((sampler) => sampler.dueMs(windowMs)));
  let sample = 0;
  for (const atMs of [...dueMs].sort((a, b) => a - b)) {
    await host.wait(atMs - (host.now() - openedAt), options.signal);
    if (options.signal?.aborted === true) return;
    sample += 1;
    const phase: Phase = `sample-${sample}`;
    host.beginPhase(phase);
    const due = samplers.filter((sampler) => sampler.dueMs(windowMs).includes(atMs));
    await Promise.all(due.map((sampler) => sampler.read(host, 'sample', options)));
  }
  await host.wait(windowMs - (host.now() - openedAt), options.signal);
}

/** One sampled check over the window. */
class Sampler {
  readonly check: SampledCheck<unknown>;
  readonly #readings: Reading<unknown>[] = [];
  #tookMs = 0;

  constructor(check: SampledCheck<unknown>) {
    this.check = check;
  }

  /** When, after the window opened, this check wants a reading between first and last. */
  dueMs(windowMs: number): readonly number[] {
    const everyMs = this.check.sampleEveryMs;
    if (everyMs === undefined) return [];
    const count = Math.max(0, Math.ceil(windowMs / everyMs) - 1);
    return Array.from({ length: count }, (_, index) => (index + 1) * everyMs);
  }

  async read(
    host: Host,
    phase: ReadContext<unknown>['phase'],
    options: CollectOptions,
  ): Promise<void> {
    const first = this.#readings[0];
    if (phase !== 'first' && first?.status !== 'ok') return;
    const context = {
      phase,
      interfaces: options.interfaces,
      ...(first?.status === 'ok' ? { first: first.value } : {}),
    };
    const startedAt = performance.now();
    const reading = await limited(this.check.id, this.check.timeoutMs, () =>
      this.check.read(host, context),
    );
    this.#tookMs += performance.now() - startedAt;
    // A failed reading between the ends is a missing sample, no more.
    if (phase !== 'sample' || reading.status === 'ok') this.#readings.push(reading);
  }

  result(): CheckResult {
    return { reading: this.#window(), tookMs: this.#tookMs };
  }

  #window(): Reading<Sampled<unknown>> {
    const good = [];
    for (const reading of this.#readings) {
      if (reading.status !== 'ok') return reading;
      good.push(reading);
    }
    const first = good[0];
    const last = good.at(-1);
    if (first === undefined || last === undefined) return unread('crashed', 'it was never read');
    const notes = new Set(good.flatMap((reading) => reading.notes ?? []));
    return ok(
      { first: first.value, last: last.value, samples: good.map((reading) => reading.value) },
      [...notes],
    );
  }

  counters(): { name: string; first: bigint; last: bigint }[] {
    const window = this.#window();
    if (window.status !== 'ok') return [];
    const first = new Map(this.check.counters?.(window.value.first));
    return [...(this.check.counters?.(window.value.last) ?? [])].flatMap(([name, last]) => {
      const before = first.get(name);
      return before === undefined
        ? []
        : [{ name: `${this.check.id} ${name}`, first: before, last }];
    });
  }
}

/** One watched check over the window. */
class Watcher {
  readonly check: WatchedCheck<unknown>;
  #watch: Reading<Watch<unknown>> = unread('not-applicable', 'no window to watch (--duration 0)');
  #reading: Reading<unknown> | undefined;
  #tookMs = 0;

  constructor(check: WatchedCheck<unknown>) {
    this.check = check;
  }

  async start(host: Host, capture: CollectOptions['capture']): Promise<void> {
    await this.#timed(async () => {
      this.#watch = await limited(this.check.id, WATCH_TIMEOUT_MS, () =>
        this.check.start(host, { capture }),
      );
    });
  }

  mark(moment: 'window-open' | 'window-close'): void {
    if (this.#watch.status === 'ok') this.#watch.value.mark(moment);
  }

  async stop(): Promise<void> {
    const watch = this.#watch;
    if (watch.status !== 'ok') return;
    await this.#timed(async () => {
      this.#reading = await limited(this.check.id, WATCH_TIMEOUT_MS, () => watch.value.stop());
    });
  }

  result(): CheckResult {
    const reading =
      this.#reading ??
      (this.#watch.status === 'ok' ? unread('crashed', 'it was never stopped') : this.#watch);
    return { reading, tookMs: this.#tookMs };
  }

  async #timed(work: () => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    await work();
    this.#tookMs += performance.now() - startedAt;
  }
}

/** Loading symbols and draining a full buffer after a storm take a while; more than this is a hang. */
const WATCH_TIMEOUT_MS = 15_000;

/** Isolates a check: its time limit and its crash become readings. */
async function limited<Value>(
  id: string,
  timeoutMs: number,
  read: () => Promise<Reading<Value>>,
): Promise<Reading<Value>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Reading<Value>>((resolve) => {
    timer = setTimeout(() => {
      resolve(unread('timeout', `${id} did not answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([read(), late]);
  } catch (error) {
    return unread('crashed', error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
  }
}
