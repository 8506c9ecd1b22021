import type { OpenTracefs } from '../capture/tracefs-mount.ts';
import type { CaptureOptions, RunningCapture } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';

/**
 * Live captures of one host. They see the drops of the whole machine, whatever namespace is under
 * diagnosis. The code for them is loaded when it is first wanted.
 */
export class LiveCaptures {
  #tracefs: Promise<Reading<OpenTracefs>> | undefined;
  readonly #running = new Set<RunningCapture>();

  /** Mounts tracefs, unless it is, and loads the code for it: what start() would begin with. */
  prepare(): void {
    this.#tracefs ??= openTracefs();
  }

  async start({ backend }: CaptureOptions): Promise<Reading<RunningCapture>> {
    const started = await (backend === 'bpf' ? startBpf() : this.#startTracefs());
    if (started.status === 'ok') this.#running.add(started.value);
    return started;
  }

  async #startTracefs(): Promise<Reading<RunningCapture>> {
    const tracefs = await (this.#tracefs ??= openTracefs());
    if (tracefs.status !== 'ok') return tracefs;
    const { startTracefsCapture } = await import('../capture/tracefs.ts');
    return startTracefsCapture({ tracing: tracefs.value.directory });
  }

  /** Stops what still runs and gives up the mount. Idempotent, as stop() and close() are. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((capture) => capture.stop()));
    const tracefs = await this.#tracefs;
    if (tracefs?.status === 'ok') await tracefs.value.close();
  }
}

async function startBpf(): Promise<Reading<RunningCapture>> {
  const { startBpfCapture } = await import('../capture/bpf/capture.ts');
  return startBpfCapture();
}

async function openTracefs(): Promise<Reading<OpenTracefs>> {
  const module = await import('../capture/tracefs-mount.ts');
  return module.openTracefs();
}
