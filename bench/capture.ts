import { cpus } from 'node:os';
import type { CleanUp, Pair } from '../test/lab/network.ts';
import type { Breakdown, Figure, Section } from './figure.ts';
import { measureFirstCount } from './first-count.ts';
import {
  bpftrace,
  captureAlone,
  dropwatch,
  emptyProgram,
  nobody,
  perf,
  perfWithStacks,
  retis,
  whydropReport,
  type Observer,
} from './observers.ts';
import { bpfRunTimes, type RunTimes } from './run-time.ts';
import { interleaved, median } from './statistics.ts';
import { packetTimes } from './switching.ts';
import { makeStormPair, storm, type Storm, type StormSize } from './storm.ts';

/** What live capture costs the traffic, the memory and the kernel, beside other ways to look at drops. */
export async function measureCapture(
  program: string,
  rounds: number,
  size: { readonly packets: number; readonly senders: number },
  cleanUp: CleanUp,
  say: (text: string) => void,
): Promise<Section> {
  const pair = await makeStormPair(cleanUp);
  const storms: StormSize = {
    packets: size.packets,
    senderCpus: cpus()
      .map((_, cpu) => cpu)
      .slice(-size.senders),
  };
  // The first storm warms the machine up.
  await storm(nobody, pair, storms);
  const { seconds } = await storm(nobody, pair, storms);
  // Room for a storm that watching slows down, on a machine that others use.
  const window = Math.ceil(seconds * 3) + 1;
  const bpf = whydropReport(program, 'bpf', pair.b, window);
  const others = [perf, perfWithStacks, bpftrace, dropwatch, retis];
  const notes = [];
  const observers = [bpf, whydropReport(program, 'tracefs', pair.b, window)];
  for (const other of others) {
    const reason = await other.unavailable();
    if (reason === null) observers.push(other);
    else notes.push(`${other.name}: ${reason}`);
  }

  const results = await interleaved(
    observers.map((observer) => ({
      name: observer.name,
      run: () => compare(observer, pair, storms),
    })),
    rounds,
    (round) => say(`storms, round ${round} of ${rounds}`),
  );
  say('one storm, watched by turns');
  const turns = await packetTimes(
    [nobody, emptyProgram, captureAlone],
    pair,
    storms,
    5 * rounds,
    cleanUp,
  );
  say('time of the programs in the kernel, and from the start to the first count');
  const runTimes = await bpfRunTimes(
    observers.includes(bpftrace) ? [bpf, bpftrace] : [bpf],
    pair,
    storms,
    rounds,
    cleanUp,
  );
  const firstCountMs = await measureFirstCount(program, pair.b, rounds);

  const watched = results[0] ?? [];
  return {
    title: `Capture in a storm: ${size.packets.toLocaleString('en')} datagrams into a drop rule (${rounds} interleaved rounds, medians)`,
    figures: [
      ...observers.map((observer, index): Figure => ({
        id: `capture.throughput.${observer.id}`,
        what: `throughput of the storm: ${observer.name}`,
        value: median((results[index] ?? []).map(({ ratio }) => ratio)),
        unit: '×',
        ...(observer === bpf && { goal: { atLeast: 0.95 } }),
        command: observer.command,
      })),
      ...turnFigures(turns),
      {
        id: 'capture.lost',
        what: 'events lost, or not seen: whydrop, BPF',
        value: Math.max(...watched.map(missed)),
        unit: 'events',
        goal: { atMost: 0 },
        command: 'the rule’s counter less the events; the worst round',
      },
      {
        id: 'capture.memory',
        what: 'peak memory: whydrop, BPF',
        value: Math.max(...watched.map(({ peakMB = Number.NaN }) => peakMB)),
        unit: 'MB',
        goal: { atMost: 120 },
        command: 'VmHWM of the same runs, the highest',
      },
      ...runTimeFigures(runTimes),
      {
        id: 'capture.first-count',
        what: 'from the start of the capture to its first count',
        value: median(firstCountMs),
        unit: 'ms',
        goal: { atMost: 100 },
        command: 'in a fresh process, libbpf not loaded yet',
      },
    ],
    breakdowns: [
      table(observers, results),
      turnTable(turns),
      runTimeTable(runTimes),
      firstCountTable(firstCountMs),
    ],
    notes,
  };
}

interface ComparedStorm extends Storm {
  readonly unwatchedSeconds: number;
  /** What watching leaves of the throughput. */
  readonly ratio: number;
}

/** A storm between two that nobody watches: the speed of a shared machine changes within seconds. */
async function compare(observer: Observer, pair: Pair, size: StormSize): Promise<ComparedStorm> {
  const before = await storm(nobody, pair, size);
  const watched = await storm(observer, pair, size);
  const after = await storm(nobody, pair, size);
  const unwatchedSeconds = (before.seconds + after.seconds) / 2;
  return { ...watched, unwatchedSeconds, ratio: unwatchedSeconds / watched.seconds };
}

type Turns = readonly (readonly number[])[];

/** What of the throughput is left, turn by turn. */
function turnRatios([unwatched = [], ...watched]: Turns): Turns {
  return watched.map((times) => times.map((ns, turn) => (unwatched[turn] ?? Number.NaN) / ns));
}

function turnFigures(turns: Turns): readonly Figure[] {
  const [empty = [], program = []] = turnRatios(turns);
  const command = 'one storm, switched on and off four times a second';
  return [
    {
      id: 'capture.throughput.program',
      what: 'throughput of one storm: whydrop’s program alone',
      value: median(program),
      unit: '×',
      goal: { atLeast: 0.95 },
      command,
    },
    {
      id: 'capture.throughput.empty',
      what: 'throughput of one storm: an empty program',
      value: median(empty),
      unit: '×',
      command,
    },
  ];
}

function turnTable(turns: Turns): Breakdown {
  const quartiles = (values: readonly number[], digits: number): readonly string[] => {
    const sorted = values.toSorted((a, b) => a - b);
    const at = (part: number): number => sorted[Math.floor(part * sorted.length)] ?? Number.NaN;
    return [median(values), at(0.25), at(0.75)].map((value) => value.toFixed(digits));
  };
  const ratios = turnRatios(turns);
  return {
    title: 'One storm of one sender, watched by turns',
    rows: [
      ['program', 'ns from packet to packet', 'quartiles', '', 'ratio', 'quartiles', ''],
      ...['none', 'empty', 'whydrop, BPF'].map((name, index) => [
        name,
        ...quartiles(turns[index] ?? [], 0),
        ...(index === 0 ? [] : quartiles(ratios[index - 1] ?? [], 3)),
      ]),
    ],
  };
}

/** Other drops of the machine are among the events: fewer than none are missed. */
function missed({ events, lost, dropped }: Storm): number {
  return events === null ? 0 : Math.max(lost ?? 0, dropped - events);
}

function table(
  observers: readonly Observer[],
  results: readonly (readonly ComparedStorm[])[],
): Breakdown {
  const count = (value: number): string => Math.round(value).toLocaleString('en');
  return {
    title: 'Storms; each ratio is to unwatched ones just before and after it',
    rows: [
      [
        'observer',
        'drops/s',
        'unwatched',
        'ratio',
        ...spread,
        'dropped',
        'seen',
        'lost',
        'not seen',
      ],
      ...observers.map(({ name }, index) => {
        const storms = results[index] ?? [];
        const middle = (value: (run: ComparedStorm) => number | null): string => {
          const known = storms.flatMap((run) => value(run) ?? []);
          return known.length === 0 ? '-' : count(median(known));
        };
        return [
          name,
          middle(({ dropped, seconds }) => dropped / seconds),
          middle(({ dropped, unwatchedSeconds }) => dropped / unwatchedSeconds),
          ...medianAndSpread(
            storms.map(({ ratio }) => ratio),
            3,
          ),
          middle(({ dropped }) => dropped),
          middle(({ events }) => events),
          middle(({ lost }) => lost),
          middle((run) => (run.events === null ? null : Math.max(0, run.dropped - run.events))),
        ];
      }),
    ],
  };
}

const spread = ['lowest', 'highest'] as const;

function medianAndSpread(values: readonly number[], digits: number): readonly string[] {
  return [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  );
}

function runTimeFigures({ empty, observers }: RunTimes): readonly Figure[] {
  const [bpf, other] = observers.map(({ ns }) => median(ns));
  const nanoseconds = bpf ?? Number.NaN;
  return [
    {
      id: 'capture.ns',
      what: 'time of the program for a drop, beside an empty one',
      value: nanoseconds / median(empty),
      unit: '×',
      goal: { atMost: 2.5 },
      command: 'kernel.bpf_stats_enabled, bpftool prog show',
    },
    ...(other === undefined
      ? []
      : [
          {
            id: 'capture.ns.bpftrace',
            what: 'the same, beside bpftrace’s program',
            value: nanoseconds / other,
            unit: '×',
            goal: { atMost: 1 },
            command: 'likewise',
          } as const,
        ]),
  ];
}

function runTimeTable({ empty, observers }: RunTimes): Breakdown {
  return {
    title: 'Nanoseconds of each program for a drop, by the kernel’s bpf_stats',
    rows: [
      ['program', 'median', ...spread],
      ['empty', ...medianAndSpread(empty, 0)],
      ...observers.map(({ name, ns }) => [name, ...medianAndSpread(ns, 0)]),
    ],
  };
}

function firstCountTable(values: readonly number[]): Breakdown {
  return {
    title: 'Milliseconds from the start of the capture to its first count',
    rows: [
      ['', 'median', ...spread],
      ['whydrop, BPF', ...medianAndSpread(values, 0)],
    ],
  };
}
