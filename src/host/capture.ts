import { removeStaleInstances } from '../capture/instance.ts';
import { prepareTracefsCapture, type ReadyCapture } from '../capture/tracefs.ts';
import { openTracefs, type OpenTracefs } from '../capture/tracefs-mount.ts';
import type { CaptureOptions, RunningCapture } from '../model/host.ts';
import { unread, type Reading, type Unread } from '../model/reading.ts';

/**
 * Live captures of one host. They see the drops of the whole machine, whatever namespace is under
 * diagnosis.
 */
export class LiveCaptures {
  #preparing: Promise<void> | undefined;
  #tracefs: Promise<Reading<OpenTracefs>> | undefined;
  #ready: Promise<Reading<ReadyCapture>> | undefined;
  #tidying: Promise<void> | undefined;
  readonly #running = new Set<RunningCapture>();

  /** Does now, beside other things, what start() would begin with. */
  prepare(backend: CaptureOptions['backend']): void {
    this.#preparing ??= this.#prepare(backend);
  }

  async start({ backend, netns }: CaptureOptions): Promise<Reading<RunningCapture>> {
    await this.#preparing;
    const started = await this.#start(backend, netns);
    if (started.status === 'ok') this.#running.add(started.value);
    return started;
  }

  /** Stops what still runs and gives up the mount. Idempotent, as stop() and close() are. */
  async close(): Promise<void> {
    await this.#preparing;
    const ready = await this.#ready;
    if (ready?.status === 'ok') ready.value.release();
    await Promise.all([...this.#running].map((capture) => capture.stop()));
    await this.#tidying;
    const tracefs = await this.#tracefs;
    if (tracefs?.status === 'ok') await tracefs.value.close();
  }

  /** Buffers of tracefs take time: they are made only where BPF is known to be impossible. */
  async #prepare(backend: CaptureOptions['backend']): Promise<void> {
    if (backend !== 'tracefs') {
      const { findBpf } = await bpfCapture();
      const found = await findBpf();
      if (found.status === 'ok' || backend === 'bpf') return;
    }
    this.#ready = this.#makeReady();
  }

  async #start(
    backend: CaptureOptions['backend'],
    netns: number | undefined,
  ): Promise<Reading<RunningCapture>> {
    if (backend === 'tracefs') return this.#startTracefs();
    const { startBpfCapture } = await bpfCapture();
    const bpf = await startBpfCapture(netns === undefined ? {} : { netns });
    if (bpf.status === 'ok') return { ...bpf, value: this.#tidyingUp(bpf.value) };
    if (backend === 'bpf') return bpf;
    const tracefs = await this.#startTracefs();
    return tracefs.status === 'ok'
      ? { ...tracefs, value: withoutBpf(tracefs.value, bpf) }
      : neither(bpf, tracefs);
  }

  async #startTracefs(): Promise<Reading<RunningCapture>> {
    const making = this.#ready ?? this.#makeReady();
    this.#ready = undefined;
    const ready = await making;
    return ready.status === 'ok' ? ready.value.start() : ready;
  }

  /** Removes what a killed run left in tracefs, while the window passes: then there is time. */
  #tidyingUp(bpf: RunningCapture): RunningCapture {
    return {
      mark: (moment) => {
        bpf.mark(moment);
        // What cannot be removed now, a later run will find.
        if (moment === 'window-open') this.#tidying ??= this.#tidy().catch(() => undefined);
      },
      stop: () => bpf.stop(),
    };
  }

  async #tidy(): Promise<void> {
    this.#tracefs ??= openTracefs();
    const tracefs = await this.#tracefs;
    if (tracefs.status === 'ok') removeStaleInstances(`${tracefs.value.directory}/instances`);
  }

  async #makeReady(): Promise<Reading<ReadyCapture>> {
    this.#tracefs ??= openTracefs();
    const tracefs = await this.#tracefs;
    if (tracefs.status !== 'ok') return tracefs;
    return prepareTracefsCapture({ tracing: tracefs.value.directory });
  }
}

/** Loaded only when it is asked for: it needs libbpf and koffi. */
const bpfCapture = () => import('../capture/bpf/capture.ts');

/** A capture through tracefs that tells why it is not by BPF. */
function withoutBpf(tracefs: RunningCapture, { reason }: Unread): RunningCapture {
  const unavailable = [
    {
      backend: 'bpf',
      reason: `${reason} Without BPF, drops carry no interface, namespace or flow.`,
    },
  ];
  return {
    mark: (moment) => tracefs.mark(moment),
    stop: async () => {
      const drops = await tracefs.stop();
      return drops.status === 'ok' ? { ...drops, value: { ...drops.value, unavailable } } : drops;
    },
  };
}

/** One sentence will do, that of what is easier to come by; the report lists both. */
function neither(bpf: Unread, tracefs: Unread): Unread {
  const status = bpf.status === 'denied' ? 'denied' : tracefs.status;
  return {
    ...unread(status, tracefs.reason),
    tried: [
      { way: 'bpf', reason: bpf.reason },
      { way: 'tracefs', reason: tracefs.reason },
    ],
  };
}
