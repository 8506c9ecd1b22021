import { prepareTracefsCapture, type ReadyCapture } from '../capture/tracefs.ts';
import { openTracefs, type OpenTracefs } from '../capture/tracefs-mount.ts';
import type { CaptureOptions, RunningCapture } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';

/**
 * Live captures of one host. They see the drops of the whole machine, whatever namespace is under
 * diagnosis.
 */
export class LiveCaptures {
  #tracefs: Promise<Reading<OpenTracefs>> | undefined;
  #ready: Promise<Reading<ReadyCapture>> | undefined;
  readonly #running = new Set<RunningCapture>();

  /** Does now, beside other things, what start() would begin with. */
  prepare(): void {
    this.#ready ??= this.#makeReady();
  }

  async start({ backend, netns }: CaptureOptions): Promise<Reading<RunningCapture>> {
    const started = await (backend === 'bpf' ? startBpf(netns) : this.#startTracefs());
    if (started.status === 'ok') this.#running.add(started.value);
    return started;
  }

  async #startTracefs(): Promise<Reading<RunningCapture>> {
    const making = this.#ready ?? this.#makeReady();
    this.#ready = undefined;
    const ready = await making;
    return ready.status === 'ok' ? ready.value.start() : ready;
  }

  /** Stops what still runs and gives up the mount. Idempotent, as stop() and close() are. */
  async close(): Promise<void> {
    const ready = await this.#ready;
    if (ready?.status === 'ok') ready.value.release();
    await Promise.all([...this.#running].map((capture) => capture.stop()));
    const tracefs = await this.#tracefs;
    if (tracefs?.status === 'ok') await tracefs.value.close();
  }

  async #makeReady(): Promise<Reading<ReadyCapture>> {
    this.#tracefs ??= openTracefs();
    const tracefs = await this.#tracefs;
    if (tracefs.status !== 'ok') return tracefs;
    return prepareTracefsCapture({ tracing: tracefs.value.directory });
  }
}

/** Loaded only when it is asked for: it needs libbpf and koffi. */
async function startBpf(netns: number | undefined): Promise<Reading<RunningCapture>> {
  const { startBpfCapture } = await import('../capture/bpf/capture.ts');
  return startBpfCapture(netns === undefined ? {} : { netns });
}
