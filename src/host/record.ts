import type {
  CaptureOptions,
  CommandOutput,
  Host,
  HostFacts,
  Phase,
  RunningCapture,
  RunOptions,
  View,
} from '../model/host.ts';
import { ok, type Reading } from '../model/reading.ts';
import { CurrentPhase } from './current-phase.ts';
import {
  RECORDING_FORMAT,
  type RecordedOptions,
  type RecordingHeader,
  type RecordingLine,
  type ViewName,
} from './recording-format.ts';
import { saveRecording, type SavedRecording } from './save.ts';

export interface RecordOptions {
  /** Of whydrop. */
  readonly version: string;
  readonly startedAt: Date;
  /** Length of the window that was asked for; 0 when only settings are read. */
  readonly seconds: number;
  /** What else the user asked for (interfaces, capture …), for whoever replays it. */
  readonly options?: RecordedOptions;
}

/** A host that keeps everything that is read through it. */
export interface RecordingHost extends Host {
  /**
   * Writes what was read so far. The file appears whole or not at all, readable by its owner only;
   * an existing one is replaced. Compressed when the name ends in `.gz`.
   */
  save(path: string): Promise<Reading<SavedRecording>>;
}

/** Wraps any host. The recording holds readings in memory until it is saved. */
export function recordHost(live: Host, options: RecordOptions): RecordingHost {
  return new Recorder(live, options);
}

/** What was read so far. */
class Tape {
  readonly phase = new CurrentPhase();
  readonly lines: RecordingLine[] = [];
}

class RecordingView implements View {
  readonly #live: View;
  readonly #name: ViewName;
  readonly #tape: Tape;

  constructor(live: View, name: ViewName, tape: Tape) {
    this.#live = live;
    this.#name = name;
    this.#tape = tape;
  }

  async readFile(path: string): Promise<Reading<string>> {
    const place = this.#place();
    const result = await this.#live.readFile(path);
    this.#tape.lines.push({ ...place, op: 'file', key: path, result });
    return result;
  }

  async readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    const place = this.#place();
    const results = await this.#live.readFiles(paths);
    for (const [index, result] of results.entries()) {
      const path = paths[index];
      if (path !== undefined) this.#tape.lines.push({ ...place, op: 'file', key: path, result });
    }
    return results;
  }

  async list(directory: string): Promise<Reading<readonly string[]>> {
    const place = this.#place();
    const result = await this.#live.list(directory);
    this.#tape.lines.push({ ...place, op: 'list', key: directory, result });
    return result;
  }

  async run(
    argv: readonly [string, ...string[]],
    options?: RunOptions,
  ): Promise<Reading<CommandOutput>> {
    const place = this.#place();
    const result = await this.#live.run(argv, options);
    this.#tape.lines.push({ ...place, op: 'run', key: [...argv], result });
    return result;
  }

  /** Taken before the reading: one that ends late still belongs to the phase that asked for it. */
  #place(): { phase: Phase; view: ViewName } {
    return { phase: this.#tape.phase.get(), view: this.#name };
  }
}

class Recorder extends RecordingView implements RecordingHost {
  readonly facts: HostFacts;
  readonly initial: View;
  readonly #live: Host;
  readonly #options: RecordOptions;
  readonly #tape: Tape;

  constructor(live: Host, options: RecordOptions) {
    const tape = new Tape();
    super(live, 'namespace', tape);
    this.#live = live;
    this.#options = options;
    this.#tape = tape;
    this.facts = live.facts;
    this.initial = live.initial === live ? this : new RecordingView(live.initial, 'initial', tape);
  }

  beginPhase(phase: Phase): void {
    this.#tape.phase.begin(phase);
    this.#live.beginPhase(phase);
  }

  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    const from = this.#live.now();
    await this.#live.wait(ms, signal);
    this.#tape.lines.push({ op: 'wait', from, to: this.#live.now() });
  }

  now(): number {
    return this.#live.now();
  }

  async kernelLog(): Promise<Reading<readonly string[]>> {
    const phase = this.#tape.phase.get();
    const result = await this.#live.kernelLog();
    this.#tape.lines.push({ phase, view: 'initial', op: 'kernel-log', key: 'new', result });
    return result;
  }

  async startCapture(options: CaptureOptions): Promise<Reading<RunningCapture>> {
    const place = { phase: this.#tape.phase.get(), view: 'namespace', key: 'drops' } as const;
    const { lines } = this.#tape;
    const started = await this.#live.startCapture(options);
    if (started.status !== 'ok') {
      lines.push({ ...place, op: 'capture-start', result: started });
      return started;
    }
    const { value: running, notes } = started;
    lines.push({ ...place, op: 'capture-start', result: ok(null, notes) });
    return ok(
      {
        mark: (moment) => {
          running.mark(moment);
        },
        stop: async () => {
          const result = await running.stop();
          lines.push({ ...place, op: 'capture-stop', result });
          return result;
        },
      },
      notes,
    );
  }

  close(): Promise<void> {
    return this.#live.close();
  }

  save(path: string): Promise<Reading<SavedRecording>> {
    const { version, startedAt, seconds, options = {} } = this.#options;
    const header: RecordingHeader = {
      format: RECORDING_FORMAT,
      toolVersion: version,
      facts: this.facts,
      foreignNetns: this.initial !== this,
      startedAt: startedAt.toISOString(),
      seconds,
      options,
    };
    return saveRecording(path, header, [...this.#tape.lines, { op: 'end' }]);
  }
}
