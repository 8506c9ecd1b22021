import type { CleanUp } from '../test/lab/network.ts';
import type { Size } from './busy-namespace.ts';
import type { Figure, Section } from './figure.ts';
import {
  checks,
  checkTrouble,
  cpuSeconds,
  describe,
  measureSize,
  peakMemory,
  reportCommand,
  secondsBeyond,
  stages,
  type Measured,
  type MeasureOptions,
} from './report-sizes.ts';

const EMPTY: Size = { rules: 0, interfaces: 0, udpSockets: 0, tcpSockets: 0 };
/** The most a host is expected to have. */
const LARGEST: Size = { rules: 50_000, interfaces: 1000, udpSockets: 50_000, tcpSockets: 50_000 };
/** What grows alone, and under which name. */
const DIMENSIONS: Readonly<Record<string, Partial<Size>>> = {
  rules: { rules: LARGEST.rules },
  interfaces: { interfaces: LARGEST.interfaces },
  sockets: { udpSockets: LARGEST.udpSockets, tcpSockets: LARGEST.tcpSockets },
};
const PARTS = [1 / 4, 1 / 2, 1] as const;

/**
 * Linear growth is 1, quadratic growth 4. What is above 1 is the noise of a median of three.
 */
const GROWTH_AT_MOST = 1.25;

/** How time and memory of a report grow with each of what a host can have much of, and with all of it. */
export async function measureHostSizes(
  options: MeasureOptions,
  newCleanUp: () => CleanUp,
): Promise<Section> {
  // One after the other, as in report-cost.ts.
  const measure = (name: string, size: Partial<Size>): Promise<Measured> =>
    measureSize(options, name, { ...EMPTY, ...size }, newCleanUp());
  const empty = await measure('empty', {});
  const measured: Measured[] = [];
  const growths: Figure[] = [];
  for (const [name, most] of Object.entries(DIMENSIONS)) {
    const steps: Measured[] = [];
    for (const part of PARTS) steps.push(await measure(`${name} × ${part}`, scaled(most, part)));
    measured.push(...steps);
    growths.push(growth(name, empty, steps));
  }
  const all = await measure('all', LARGEST);
  measured.push(all);
  return {
    title: `A report on a large host (${options.rounds} rounds, medians)`,
    figures: [
      ...measured.map((of): Figure => ({
        id: `host-size.seconds.${of.name}`,
        what: `time beyond the window: ${describe(of.size)}`,
        value: secondsBeyond(of),
        unit: 's',
        goal: { atMost: 5 },
        command: reportCommand(options),
      })),
      ...growths,
      ...measured.map((of): Figure => ({
        id: `host-size.memory.${of.name}`,
        what: `peak memory: ${describe(of.size)}`,
        value: peakMemory(of),
        unit: 'MB',
        goal: { atMost: 300 },
        command: 'VmHWM of the same runs, the highest',
      })),
    ],
    breakdowns: [stages([empty, ...measured]), checks([empty, ...measured])],
    notes: checkTrouble(measured),
  };
}

function scaled(size: Partial<Size>, part: number): Partial<Size> {
  return Object.fromEntries(Object.entries(size).map(([what, count]) => [what, count * part]));
}

/**
 * In CPU time: of what the smallest host takes, much is done while others wait for programs, so that its time on
 * the clock says too little.
 */
function growth(name: string, empty: Measured, steps: readonly Measured[]): Figure {
  const own = steps.map((step) => cpuSeconds(step) - cpuSeconds(empty));
  const [smallest = Number.NaN] = own;
  const largest = own.at(-1) ?? Number.NaN;
  const [from, to] = [PARTS[0], PARTS[2]];
  return {
    id: `host-size.growth.${name}`,
    what: `growth: CPU time for each of the ${name} beyond that of an empty host, largest to smallest host`,
    value: largest / to / (smallest / from),
    unit: '×',
    goal: { atMost: GROWTH_AT_MOST },
    command: 'from the same runs',
  };
}
