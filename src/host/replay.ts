import type { CommandOutput, Host, HostFacts, Phase, RunningCapture, View } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { CurrentPhase } from './current-phase.ts';
import type { Recording } from './parse-recording.ts';
import type {
  RecordedReading,
  RecordedWait,
  RecordingHeader,
  ViewName,
} from './recording-format.ts';

/** A recording that answers as the machine did. */
export interface ReplayHost extends Host {
  /** When and how it was recorded. */
  readonly header: RecordingHeader;
}

/** Opens what `RecordingHost.save()` wrote. Touches no other file and runs nothing; needs no root. */
export async function openReplay(path: string): Promise<Reading<ReplayHost>> {
  // Loads zod, which live runs do not need.
  const { parseRecording } = await import('./parse-recording.ts');
  const recording = await parseRecording(path);
  if (recording.status !== 'ok') return recording;
  return ok(new Replay(recording.value), recording.notes);
}

type Op = RecordedReading['op'];
type ResultOf<O extends Op> = Extract<RecordedReading, { op: O }>['result'];

/** The answers of a recording: by phase, view, operation and key, several of one place in order. */
class Answers {
  readonly phase = new CurrentPhase();
  readonly #queues = new Map<string, { readings: RecordedReading[]; next: number }>();

  constructor(readings: readonly RecordedReading[]) {
    for (const reading of readings) {
      const { phase, view, op, key } = reading;
      const place = placeOf(phase, view, op, key);
      const queue = this.#queues.get(place);
      if (queue === undefined) this.#queues.set(place, { readings: [reading], next: 0 });
      else queue.readings.push(reading);
    }
  }

  /** When asked more often than was recorded (by a newer whydrop), the last answer stands. */
  answer<O extends Op>(
    view: ViewName,
    op: O,
    key: string | readonly string[],
    phase = this.phase.get(),
  ): ResultOf<O> {
    const queue = this.#queues.get(placeOf(phase, view, op, key));
    const reading = queue?.readings[Math.min(queue.next, queue.readings.length - 1)];
    if (queue === undefined || reading === undefined) {
      const what = typeof key === 'string' ? key : key.join(' ');
      return unread('absent', `${what}: not in the recording`);
    }
    queue.next += 1;
    // The place holds readings of this operation only.
    return reading.result as ResultOf<O>;
  }
}

function placeOf(phase: Phase, view: ViewName, op: Op, key: string | readonly string[]): string {
  return JSON.stringify([phase, view, op, key]);
}

class ReplayView implements View {
  readonly #answers: Answers;
  readonly #name: ViewName;

  constructor(answers: Answers, name: ViewName) {
    this.#answers = answers;
    this.#name = name;
  }

  async readFile(path: string): Promise<Reading<string>> {
    return this.#answers.answer(this.#name, 'file', path);
  }

  async readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    return paths.map((path) => this.#answers.answer(this.#name, 'file', path));
  }

  async list(directory: string): Promise<Reading<readonly string[]>> {
    return this.#answers.answer(this.#name, 'list', directory);
  }

  async run(argv: readonly [string, ...string[]]): Promise<Reading<CommandOutput>> {
    return this.#answers.answer(this.#name, 'run', argv);
  }
}

class Replay extends ReplayView implements ReplayHost {
  readonly header: RecordingHeader;
  readonly facts: HostFacts;
  readonly initial: View;
  readonly #answers: Answers;
  readonly #waits: readonly RecordedWait[];
  #nextWait = 0;
  #nowMs: number;

  constructor({ header, readings, waits }: Recording) {
    const answers = new Answers(readings);
    super(answers, 'namespace');
    this.#answers = answers;
    this.#waits = waits;
    this.#nowMs = waits[0]?.from ?? 0;
    this.header = header;
    this.facts = { ...header.facts, recorded: true };
    this.initial = header.foreignNetns ? new ReplayView(answers, 'initial') : this;
  }

  beginPhase(phase: Phase): void {
    this.#answers.phase.begin(phase);
  }

  /** Moves the clock to the end of the recorded wait, however long the wait that is asked for. */
  async wait(): Promise<void> {
    this.#nowMs = this.#waits[this.#nextWait]?.to ?? this.#nowMs;
    this.#nextWait += 1;
  }

  now(): number {
    return this.#nowMs;
  }

  async kernelLog(): Promise<Reading<readonly string[]>> {
    return this.#answers.answer('initial', 'kernel-log', 'new');
  }

  async startCapture(): Promise<Reading<RunningCapture>> {
    const phase = this.#answers.phase.get();
    const started = this.#answers.answer('namespace', 'capture-start', 'drops');
    if (started.status !== 'ok') return started;
    return ok(
      {
        mark: () => {
          // The recorded capture was marked when it was made.
        },
        stop: async () => this.#answers.answer('namespace', 'capture-stop', 'drops', phase),
      },
      started.notes,
    );
  }

  async close(): Promise<void> {
    // Holds nothing.
  }
}
