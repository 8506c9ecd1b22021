import type { ReadContext, Sampled, SampledCheck } from '../model/check.ts';
import { change, rise } from '../model/counter.ts';
import type { Host } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { isolated, within } from './isolate.ts';

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
  readonly #readings: Reading<Sample>[] = [];
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
      ...(first?.status === 'ok' ? { first: first.value.value } : {}),
    };
    const startedAt = performance.now();
    const reading = await within(
      this.check.timeoutMs,
      this.check.id,
      isolated(() => this.#sample(host, context)),
    );
    this.#tookMs += performance.now() - startedAt;
    // A failed reading between the ends is a missing sample, no more.
    if (phase !== 'sample' || reading.status === 'ok') this.#readings.push(reading);
  }

  async #sample(host: Host, context: ReadContext<unknown>): Promise<Reading<Sample>> {
    const reading = await this.check.read(host, context);
    if (reading.status !== 'ok') return reading;
    const { value, notes } = reading;
    return ok({ value, counters: new Map(this.check.counters?.(value)) }, notes);
  }

  result(): { reading: Reading<Sampled<unknown>>; tookMs: number } {
    const window = this.#window();
    const tookMs = this.#tookMs;
    if (window.status !== 'ok') return { reading: window, tookMs };
    const { first, last, samples } = window.value;
    const values = samples.map(({ value }) => value);
    return {
      reading: ok({ first: first.value, last: last.value, samples: values }, window.notes),
      tookMs,
    };
  }

  counterRises(): readonly CounterRise[] {
    const window = this.#window();
    if (window.status !== 'ok') return [];
    const { first, last } = window.value;
    const bits = this.check.counterBits;
    const rises: CounterRise[] = [];
    for (const [name, now] of last.counters) {
      const before = first.counters.get(name);
      if (before === undefined) continue;
      rises.push({
        name: `${this.check.id} ${name}`,
        rise: rise(before, now, bits),
        wentDown: change(before, now, bits) < 0n,
      });
    }
    return rises;
  }

  #window(): Reading<Sampled<Sample>> {
    const samples: Sample[] = [];
    const notes = new Set<string>();
    for (const reading of this.#readings) {
      if (reading.status !== 'ok') return reading;
      samples.push(reading.value);
      for (const note of reading.notes ?? []) notes.add(note);
    }
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined) return unread('crashed', 'it was never read');
    return ok({ first, last, samples }, [...notes]);
  }
}

interface Sample {
  readonly value: unknown;
  readonly counters: ReadonlyMap<string, bigint>;
}
