import { run } from '../test/lab/command.ts';
import { setHostWide, type CleanUp, type Pair } from '../test/lab/network.ts';
import { emptyProgram, type Observer } from './observers.ts';
import { interleaved } from './statistics.ts';
import { storm, type StormSize } from './storm.ts';

/** Nanoseconds a program ran for one drop, in each round; the kernel's own measuring is in them. */
export interface RunTimes {
  readonly empty: readonly number[];
  readonly observers: readonly { readonly name: string; readonly ns: readonly number[] }[];
}

/** Storms with the kernel's bpf_stats on, which slow down every BPF program of the machine meanwhile. */
export async function bpfRunTimes(
  observers: readonly Observer[],
  pair: Pair,
  size: StormSize,
  rounds: number,
  cleanUp: CleanUp,
): Promise<RunTimes> {
  await setHostWide(cleanUp, '/proc/sys/kernel/bpf_stats_enabled', '1');
  const [empty = [], ...others] = await interleaved(
    [emptyProgram, ...observers].map((observer) => ({
      name: observer.name,
      run: () => runTimeUnder(observer, pair, size),
    })),
    rounds,
  );
  return {
    empty,
    observers: observers.map(({ name }, index) => ({ name, ns: others[index] ?? [] })),
  };
}

async function runTimeUnder(observer: Observer, pair: Pair, size: StormSize): Promise<number> {
  const older = new Set((await programs()).map(({ id }) => id));
  const found: Program[] = [];
  await storm(observer, pair, size, async () => {
    const running = await programs();
    found.push(...running.filter(({ id, runs }) => !older.has(id) && runs >= size.packets));
  });
  const [program] = found;
  if (program === undefined) throw new Error(`${observer.name} ran no program for each drop`);
  return program.ns / program.runs;
}

interface Program {
  readonly id: number;
  readonly ns: number;
  readonly runs: number;
}

/** Every BPF program of the machine. */
async function programs(): Promise<readonly Program[]> {
  const shown = JSON.parse(await run('bpftool --json prog show')) as {
    readonly id: number;
    /** Absent before the first run. */
    readonly run_time_ns?: number;
    readonly run_cnt?: number;
  }[];
  return shown.map(({ id, run_time_ns: ns = 0, run_cnt: runs = 0 }) => ({ id, ns, runs }));
}
