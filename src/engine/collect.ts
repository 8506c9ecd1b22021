import { mapBounded } from '../model/bounded.ts';
import type { AnyCheck, ReadContext } from '../model/check.ts';
import type { DropCapture } from '../model/drops.ts';
import type { Host, Phase } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';
import { FollowUp } from './follow-up.ts';
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
  /** From the end of the first reading to the begin of the last. */
  readonly seconds: number;
}

export interface CheckResult {
  /** Sampled<Value> or the watched value: what rules receive. */
  readonly reading: Reading<unknown>;
  readonly tookMs: number;
}

/** What one window saw of several hosts on one machine. */
export interface CollectedMachine {
  readonly main: Collected;
  readonly others: readonly Collected[];
}

/** The capture is wanted of this namespace only: as in CaptureOptions. */
interface Selection {
  readonly netns?: number;
}

export async function collect(
  host: Host,
  checks: readonly AnyCheck[],
  options: CollectOptions & Selection,
): Promise<Collected> {
  return (await collectAll(host, [], checks, options)).main;
}

/** Their tools keep a few CPUs busy; more at once would only wait for each other. */
const HOSTS_AT_ONCE = 4;

/**
 * Reads everything twice, with the capture around: captures start before the first reading and stop
 * after the last, so that no counted packet can be missing from the events for that reason. Follow-ups come
 * after the capture, and ask about what it saw.
 * Never rejects for a check: what one could not read is its result.
 *
 * Each host has a window of its own, which begins when its first reading is done: a hundred namespaces take
 * seconds to read, and the first one need not wait for the last. What they have in common is the
 * window of the capture.
 *
 * @param main captures run here, and what is the same on all hosts is read here only
 */
export async function collectAll(
  main: Host,
  others: readonly Host[],
  checks: readonly AnyCheck[],
  options: CollectOptions & Selection,
): Promise<CollectedMachine> {
  const { seconds, capture, interfaces, onProgress, netns } = options;
  const ofMain = new HostReader(main, checks);
  const ofOthers = others.map(
    (host) =>
      new HostReader(
        host,
        checks.filter((check) => !isHostWide(check)),
      ),
  );
  const readers = [ofMain, ...ofOthers];
  const watchers = checks
    .filter((check) => check.kind === 'watched')
    .map((check) => new Watcher(check));
  const beginPhase = (phase: Phase): void => {
    for (const { host } of readers) host.beginPhase(phase);
  };
  const read = (phase: ReadContext<unknown>['phase'], atMs?: number): Promise<unknown> =>
    mapBounded(readers, HOSTS_AT_ONCE, (reader) => reader.read(phase, interfaces, atMs));

  onProgress?.({ stage: 'starting' });
  beginPhase('first');
  if (seconds > 0) {
    const wanted = { capture, ...(netns !== undefined && { netns }) };
    await Promise.all(watchers.map((watcher) => watcher.start(main, wanted)));
  }

  onProgress?.({ stage: 'first' });
  await read('first');

  if (seconds > 0) {
    const windowMs = seconds * 1000;
    for (const watcher of watchers) watcher.mark('window-open');
    const openedAt = Math.min(...readers.map((reader) => reader.openedAt));
    onProgress?.({ stage: 'window', seconds: seconds - (main.now() - openedAt) / 1000 });
    await passWindow(main, ofMain.dueMs(windowMs), openedAt, options, async (atMs, sample) => {
      beginPhase(`sample-${sample}`);
      await read('sample', atMs);
    });
    for (const watcher of watchers) watcher.mark('window-close');

    onProgress?.({ stage: 'last' });
    beginPhase('last');
    await mapBounded(readers, HOSTS_AT_ONCE, async (reader) => {
      const leftMs = reader.openedAt + windowMs - main.now();
      if (leftMs > 0) await main.wait(leftMs, options.signal);
      await reader.read('last', interfaces);
    });
    await Promise.all(watchers.map((watcher) => watcher.stop()));
  }

  const watched = watchers.map((watcher) => [watcher.check, watcher.result()] as const);
  const captured = captureOf(watched);
  if (captured?.reading.status === 'ok') {
    const { value } = captured.reading;
    await mapBounded(readers, HOSTS_AT_ONCE, (reader) => reader.followUp(value));
  }
  const ofMachine = [...ofMain.results(isHostWide), ...watched].map(
    // What was read once has taken its time once.
    ([check, { reading }]) => [check, { reading, tookMs: 0 }] as const,
  );
  return {
    main: ofMain.collected(watched),
    others: ofOthers.map((reader) => reader.collected(ofMachine)),
  };
}

export interface Captured {
  readonly check: AnyCheck;
  readonly reading: Reading<DropCapture>;
  readonly tookMs: number;
}

export function captureOf(
  evidence: Iterable<readonly [AnyCheck, CheckResult]>,
): Captured | undefined {
  for (const [check, { reading, tookMs }] of evidence) {
    // The drops check is the one that watches, and its value is a DropCapture.
    if (check.kind === 'watched') {
      return { check, reading: reading as Reading<DropCapture>, tookMs };
    }
  }
  return undefined;
}

function isHostWide(check: AnyCheck): boolean {
  return check.kind === 'sampled' && check.hostWide === true;
}

/** The checks of one host over the window, the capture apart. */
class HostReader {
  readonly host: Host;
  readonly #samplers: readonly Sampler[];
  readonly #followUps: readonly FollowUp[];
  /** When the first reading was done, by the host's clock. */
  openedAt = 0;
  #closedAt = 0;

  constructor(host: Host, checks: readonly AnyCheck[]) {
    this.host = host;
    this.#samplers = checks
      .filter((check) => check.kind === 'sampled')
      .map((check) => new Sampler(check));
    this.#followUps = checks
      .filter((check) => check.kind === 'follow-up')
      .map((check) => new FollowUp(check));
  }

  /** When, after the window opened, readings between first and last are wanted. In order. */
  dueMs(windowMs: number): readonly number[] {
    const due = new Set(this.#samplers.flatMap((sampler) => sampler.dueMs(windowMs)));
    return [...due].sort((a, b) => a - b);
  }

  /** @param atMs of a sample: only checks that want one then are read */
  async read(
    phase: ReadContext<unknown>['phase'],
    interfaces: readonly string[],
    atMs = 0,
  ): Promise<void> {
    const due =
      phase === 'sample' ? this.#samplers.filter((sampler) => sampler.isDue(atMs)) : this.#samplers;
    if (phase === 'last') this.#closedAt = this.host.now();
    await Promise.all(due.map((sampler) => sampler.read(this.host, phase, interfaces)));
    if (phase === 'first') this.openedAt = this.#closedAt = this.host.now();
  }

  async followUp(capture: DropCapture): Promise<void> {
    await Promise.all(this.#followUps.map((followUp) => followUp.read(this.host, capture)));
  }

  results(
    isWanted: (check: AnyCheck) => boolean = () => true,
  ): readonly (readonly [AnyCheck, CheckResult])[] {
    return [...this.#samplers, ...this.#followUps]
      .filter(({ check }) => isWanted(check))
      .map((reader) => [reader.check, reader.result()]);
  }

  /** @param more what was read elsewhere for this host */
  collected(more: readonly (readonly [AnyCheck, CheckResult])[]): Collected {
    const counters = this.#samplers.flatMap((sampler) => sampler.counterRises());
    return {
      evidence: new Map([...this.results(), ...more]),
      rises: new Map(counters.map(({ name, rise }) => [name, rise])),
      wentDown: counters.filter(({ wentDown }) => wentDown).map(({ name }) => name),
      seconds: (this.#closedAt - this.openedAt) / 1000,
    };
  }
}

/** Waits for the window to pass, with the readings between that some checks want. */
async function passWindow(
  host: Host,
  dueMs: readonly number[],
  openedAt: number,
  { seconds, signal }: CollectOptions,
  sampleAt: (atMs: number, sample: number) => Promise<void>,
): Promise<void> {
  const passedMs = (): number => host.now() - openedAt;
  let sample = 0;
  for (const atMs of dueMs) {
    // A slow reading has eaten this one's time: made up for, it would stretch the window.
    if (atMs < passedMs()) continue;
    await host.wait(atMs - passedMs(), signal);
    if (signal?.aborted === true) return;
    sample += 1;
    await sampleAt(atMs, sample);
  }
  await host.wait(seconds * 1000 - passedMs(), signal);
}
