import type { Watch, WatchedCheck, WatchOptions } from '../model/check.ts';
import type { Host } from '../model/host.ts';
import { unread, type Reading } from '../model/reading.ts';
import { crash, isolated, within } from './isolate.ts';

/** Loading symbols and draining a full buffer after a storm take a while; more than this is a hang. */
const WATCH_TIMEOUT_MS = 15_000;

/** One watched check over the window. */
export class Watcher {
  readonly check: WatchedCheck<unknown>;
  #watch: Reading<Watch<unknown>> = unread('not-applicable', 'no window to watch (--duration 0)');
  #reading: Reading<unknown> | undefined;
  #tookMs = 0;

  constructor(check: WatchedCheck<unknown>) {
    this.check = check;
  }

  async start(host: Host, options: WatchOptions): Promise<void> {
    const starting = isolated(() => this.check.start(host, options));
    this.#watch = await this.#limited(starting);
    // One that starts too late must not stay behind.
    if (this.#watch.status === 'timeout') {
      void starting.then((late) =>
        late.status === 'ok' ? isolated(() => late.value.stop()) : undefined,
      );
    }
  }

  mark(moment: 'window-open' | 'window-close'): void {
    if (this.#watch.status !== 'ok') return;
    try {
      this.#watch.value.mark(moment);
    } catch (error) {
      this.#reading = crash(error);
    }
  }

  async stop(): Promise<void> {
    const watch = this.#watch;
    if (watch.status !== 'ok') return;
    const reading = await this.#limited(isolated(() => watch.value.stop()));
    this.#reading ??= reading;
  }

  result(): { reading: Reading<unknown>; tookMs: number } {
    const reading =
      this.#reading ??
      (this.#watch.status === 'ok' ? unread('crashed', 'it was never stopped') : this.#watch);
    return { reading, tookMs: this.#tookMs };
  }

  async #limited<Value>(reading: Promise<Reading<Value>>): Promise<Reading<Value>> {
    const startedAt = performance.now();
    const answer = await within(WATCH_TIMEOUT_MS, this.check.id, reading);
    this.#tookMs += performance.now() - startedAt;
    return answer;
  }
}
