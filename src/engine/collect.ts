import type { AnyCheck } from '../model/check.ts';
import type { Host, Phase } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import { Sampler } from './sampler.ts';
import { Watcher } from './watcher.ts';

export interface CollectOptions {
  /** Length of the window; 0 reads once: settings only. */
  readonly seconds: number;
  readonly capture: 'auto' | 'bpf' | 'tracefs' | 'none';
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
  /** Counters that went down in the window, so nothing is known about them. */
  readonly wentDown: readonly string[];
  readonly seconds: number;
}

export interface CheckResult {
  /** Sampled<Value> or the watched value: what rules receive. */
  readonly reading: Reading<unknown>;
  readonly tookMs: number;
}

/**
 * Reads everything twice, with the capture around: captures start before the first reading and stop
 * after the last, so that no counted packet can be missing from the events for that reason.
 * Never rejects for a check: what one could not read is its result.
 */
export async function collect(
  host: Host,
  checks: readonly AnyCheck[],
  options: CollectOptions,
): Promise<Collected> {
  const { seconds, capture, interfaces, onProgress } = options;
  const samplers = checks
    .filter((check) => check.kind === 'sampled')
    .map((check) => new Sampler(check));
  const watchers = checks
    .filter((check) => check.kind === 'watched')
    .map((check) => new Watcher(check));

  onProgress?.({ stage: 'starting' });
  host.beginPhase('first');
  if (seconds > 0) {
    await Promise.all(watchers.map((watcher) => watcher.start(host, { capture })));
  }

  onProgress?.({ stage: 'first' });
  await Promise.all(samplers.map((sampler) => sampler.read(host, 'first', interfaces)));

  let passedMs = 0;
  if (seconds > 0) {
    for (const watcher of watchers) watcher.mark('window-open');
    const openedAt = host.now();
    onProgress?.({ stage: 'window', seconds });
    await passWindow(host, samplers, options, openedAt);
    passedMs = host.now() - openedAt;
    for (const watcher of watchers) watcher.mark('window-close');

    onProgress?.({ stage: 'last' });
    host.beginPhase('last');
    await Promise.all(samplers.map((sampler) => sampler.read(host, 'last', interfaces)));
    await Promise.all(watchers.map((watcher) => watcher.stop()));
  }

  const counters = samplers.flatMap((sampler) => sampler.counterRises());
  return {
    evidence: new Map([...samplers, ...watchers].map((source) => [source.check, source.result()])),
    rises: new Map(counters.map(({ name, rise }) => [name, rise])),
    wentDown: counters.filter(({ wentDown }) => wentDown).map(({ name }) => name),
    seconds: passedMs / 1000,
  };
}

/** Waits for the window to pass, with the readings between that some checks want. */
async function passWindow(
  host: Host,
  samplers: readonly Sampler[],
  { seconds, interfaces, signal }: CollectOptions,
  openedAt: number,
): Promise<void> {
  const windowMs = seconds * 1000;
  const passedMs = (): number => host.now() - openedAt;
  const dueMs = new Set(samplers.flatMap((sampler) => sampler.dueMs(windowMs)));
  let sample = 0;
  for (const atMs of [...dueMs].sort((a, b) => a - b)) {
    // A slow reading has eaten this one's time: made up for, it would stretch the window.
    if (atMs < passedMs()) continue;
    await host.wait(atMs - passedMs(), signal);
    if (signal?.aborted === true) return;
    sample += 1;
    const phase: Phase = `sample-${sample}`;
    host.beginPhase(phase);
    const due = samplers.filter((sampler) => sampler.dueMs(windowMs).includes(atMs));
    await Promise.all(due.map((sampler) => sampler.read(host, 'sample', interfaces)));
  }
  await host.wait(windowMs - passedMs(), signal);
}
