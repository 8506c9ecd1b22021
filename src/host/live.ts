import { setTimeout as sleep } from 'node:timers/promises';

import type {
  CaptureOptions,
  CommandOutput,
  Host,
  HostFacts,
  RunningCapture,
  RunOptions,
  View,
} from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { directView } from './direct.ts';
import { readFacts } from './facts.ts';

export interface LiveOptions {
  /** Another network namespace: a name of `ip netns`, a process id, or a path. Null: the one we are in. */
  readonly netns: string | null;
}

/**
 * The machine we run on. A namespace that cannot be entered is an unread reading with a plain
 * sentence; all other trouble shows in the single readings.
 */
export async function openLiveHost(options: LiveOptions): Promise<Reading<Host>> {
  const facts = await readFacts(options.netns);
  return ok(new LiveHost(facts, directView, undefined));
}

class LiveHost implements Host {
  readonly facts: HostFacts;
  readonly initial: View;
  readonly #view: View;

  /** @param initial undefined: this host is the initial namespace. */
  constructor(facts: HostFacts, view: View, initial: View | undefined) {
    this.facts = facts;
    this.#view = view;
    this.initial = initial ?? this;
  }

  readFile(path: string): Promise<Reading<string>> {
    return this.#view.readFile(path);
  }

  readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    return this.#view.readFiles(paths);
  }

  list(directory: string): Promise<Reading<readonly string[]>> {
    return this.#view.list(directory);
  }

  run(argv: readonly [string, ...string[]], options?: RunOptions): Promise<Reading<CommandOutput>> {
    return this.#view.run(argv, options);
  }

  beginPhase(): void {
    // Only a recording needs to know.
  }

  /** Ends early, without an error, when the signal fires. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { ...(signal && { signal }) }).catch(() => undefined);
  }

  now(): number {
    return performance.now();
  }

  async startCapture(_options: CaptureOptions): Promise<Reading<RunningCapture>> {
    return unread('absent', 'live capture: not connected yet');
  }

  async close(): Promise<void> {
    // Nothing held yet.
  }
}
