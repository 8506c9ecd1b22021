import type { ReadContext, Sampled, SampledCheck } from '../model/check.ts';
import { change, rise } from '../model/counter.ts';
import type { Host } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { crash, isolated, within } from './isolate.ts';

/** A counter that was there at both ends of the window. */
export interface CounterRise {
  /** `<check id> <counter>` */
  readonly name: string;
  readonly rise: number;
  readonly wentDown: boolean;
}

/** One sampled check over the window. */
export class Sampler {
  readonly check: SampledCheck<unknown>;
  readonly #readings: Reading<unknown>[] = [];
  #rises: Reading<readonly CounterRise[]> | undefined;
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

  isDue(atMs: number): boolean {
    const everyMs = this.check.sampleEveryMs;
    return everyMs !== undefined && atMs % everyMs === 0;
  }

  async read(
    host: Host,
    phase: ReadContext<unknown>['phase'],
    interfaces: readonly string[],
  ): Promise<void> {
    const first = this.#readings[0];
    // Without a first reading there is nothing to compare the others with.
    if (phase !== 'first' && first?.status !== 'ok') return;
    const context = {
      phase,
      interfaces,
      ...(first?.status === 'ok' ? { first: first.value } : {}),
    };
    const startedAt = performance.now();
    const reading = await within(
      this.check.timeoutMs,
      this.check.id,
      isolated(() => this.check.read(host, context)),
    );
    this.#tookMs += performance.now() - startedAt;
    // A failed reading between the ends is a missing sample, no more.
    if (phase !== 'sample' || reading.status === 'ok') this.#readings.push(reading);
  }

  result(): { reading: Reading<Sampled<unknown>>; tookMs: number } {
    const rises = this.#counterRises();
    return { reading: rises.status === 'ok' ? this.#window() : rises, tookMs: this.#tookMs };
  }

  counterRises(): readonly CounterRise[] {
    const rises = this.#counterRises();
    return rises.status === 'ok' ? rises.value : [];
  }

  /** Made once, when the window is over: a host may have a hundred thousand counters. */
  #counterRises(): Reading<readonly CounterRise[]> {
    this.#rises ??= this.#compared();
    return this.#rises;
  }

  #compared(): Reading<readonly CounterRise[]> {
    const window = this.#window();
    if (window.status !== 'ok') return window;
    const { first, last } = window.value;
    const { check } = this;
    const bits = check.counterBits;
    try {
      // The last reading of the firewall has fewer than the first: it knows which rules refuse.
      const now = new Map(check.counters?.(last));
      const rises: CounterRise[] = [];
      for (const [name, before] of check.counters?.(first) ?? []) {
        const after = now.get(name);
        if (after === undefined) continue;
        rises.push({
          name: `${check.id} ${name}`,
          rise: rise(before, after, bits),
          wentDown: change(before, after, bits) < 0n,
        });
      }
      return ok(rises);
    } catch (error) {
      return crash(error);
    }
  }

  #window(): Reading<Sampled<unknown>> {
    const samples: unknown[] = [];
    const notes = new Set<string>();
    for (const reading of this.#readings) {
      if (reading.status !== 'ok') return reading;
      samples.push(reading.value);
      for (const note of reading.notes ?? []) notes.add(note);
    }
    if (samples.length === 0) return unread('crashed', 'it was never read');
    return ok({ first: samples[0], last: samples.at(-1), samples }, [...notes]);
  }
}
