import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { errorCode } from './unavailable.ts';

export interface RingReaderOptions {
  /** `per_cpu/cpuN/trace_pipe_raw`, one for each CPU. */
  readonly files: readonly string[];
  /** Size of one page. A shorter buffer would get it in pieces. */
  readonly pageBytes: number;
  /** Pages that one ring holds. */
  readonly ringPages: number;
  /** Called with each page; the view is reused. */
  readonly onPage: (page: DataView, bytes: number) => void;
}

interface Ring {
  readonly file: string;
  /** Null once it cannot be read any more. */
  fd: number | null;
  quiet: boolean;
}

const pollMs = 25;
/** An empty ring costs a system call and an exception (6 µs): of a big host's many CPUs most are quiet. */
const quietPollEvery = 4;
/** How long the event loop may be held up. */
const sliceMs = 8;

/** Empties the ring buffers of all CPUs into one callback, without holding up the event loop. */
export class RingReader {
  /** Rings that could not be read, one sentence each. */
  readonly notes: string[] = [];
  readonly #rings: readonly Ring[];
  readonly #ringPages: number;
  readonly #onPage: RingReaderOptions['onPage'];
  readonly #page: DataView;
  readonly #stop = new AbortController();
  readonly #polling: Promise<void>;

  /** Starts reading at once. Throws what open(2) says. */
  constructor(options: RingReaderOptions) {
    this.#ringPages = options.ringPages;
    this.#onPage = options.onPage;
    this.#page = new DataView(new ArrayBuffer(options.pageBytes));
    const rings: Ring[] = [];
    this.#rings = rings;
    try {
      for (const file of options.files) {
        const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
        rings.push({ file, fd, quiet: false });
      }
    } catch (error) {
      this.close();
      throw error;
    }
    this.#polling = this.#poll();
  }

  /** Stops polling and reads what is left; the writers must have been switched off. */
  async finish(): Promise<void> {
    this.#stop.abort();
    await this.#polling;
    while ((await this.#readRings(this.#rings)) > 0);
  }

  /** Gives the files back. Synchronous, for it also runs when the process exits. Idempotent. */
  close(): void {
    this.#stop.abort();
    for (const ring of this.#rings) {
      if (ring.fd !== null) closeSync(ring.fd);
      ring.fd = null;
    }
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    for (let round = 0; !signal.aborted; round += 1) {
      const all = round % quietPollEvery === 0;
      await this.#readRings(all ? this.#rings : this.#rings.filter(({ quiet }) => !quiet));
      // Not a reason to keep the process alive; and finish() cuts it short.
      await setTimeout(pollMs, undefined, { ref: false, signal }).catch(() => {});
    }
  }

  /** @returns pages read */
  async #readRings(rings: readonly Ring[]): Promise<number> {
    let pages = 0;
    let sliceEnd = performance.now() + sliceMs;
    for (const ring of rings) {
      // At most one ring's worth in a row: a CPU in a storm must not starve the others.
      let fromRing = 0;
      while (fromRing < this.#ringPages && this.#readPage(ring)) {
        fromRing += 1;
        if (performance.now() < sliceEnd) continue;
        await setImmediate();
        sliceEnd = performance.now() + sliceMs;
      }
      ring.quiet = fromRing === 0;
      pages += fromRing;
    }
    return pages;
  }

  /** @returns false when the ring is empty */
  #readPage(ring: Ring): boolean {
    if (ring.fd === null) return false;
    try {
      const bytes = readSync(ring.fd, this.#page);
      if (bytes === 0) return false;
      this.#onPage(this.#page, bytes);
      return true;
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EAGAIN') return false;
      this.notes.push(`${ring.file} could not be read any more: ${code}`);
      closeSync(ring.fd);
      ring.fd = null;
      return false;
    }
  }
}
