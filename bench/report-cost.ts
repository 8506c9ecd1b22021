import type { CleanUp } from '../test/lab/network.ts';
import { makeBusyNamespace, type Size } from './busy-namespace.ts';
import { ms, type Breakdown, type Figure, type Section } from './figure.ts';
import { startReport, type ReportRun } from './report-run.ts';
import { median } from './statistics.ts';

const SIZES = {
  small: { rules: 100, interfaces: 10, sockets: 1000 },
  medium: { rules: 1000, interfaces: 100, sockets: 10_000 },
  large: { rules: 3000, interfaces: 300, sockets: 30_000 },
} as const satisfies Readonly<Record<string, Size>>;

type SizeName = keyof typeof SIZES;

const WINDOW_SECONDS = 2;

/** Time and memory of a report as a host grows. The goals are for the medium size. */
export async function measureReports(
  program: string,
  rounds: number,
  newCleanUp: () => CleanUp,
  say: (text: string) => void,
): Promise<Section> {
  const measured: Measured[] = [];
  // One size after the other: the kernel keeps the sockets of all namespaces in one table and walks
  // past those of the others.
  for (const name of Object.keys(SIZES) as SizeName[]) {
    say(`a namespace of ${describe(SIZES[name])}`);
    const cleanUp = newCleanUp();
    const netns = await makeBusyNamespace(SIZES[name], cleanUp);
    const runs: ReportRun[] = [];
    for (let round = 0; round < rounds; round += 1) {
      runs.push(
        await startReport(program, ['--netns', netns, '--duration', `${WINDOW_SECONDS}s`]).done,
      );
    }
    await cleanUp.run();
    measured.push({ name, runs });
  }
  return {
    title: `A report on a busy host (${rounds} rounds, medians)`,
    figures: [
      ...measured.map(({ name, runs }): Figure => ({
        id: `report.seconds.${name}`,
        what: `time beyond the window: ${describe(SIZES[name])}`,
        value: median(runs.map(ownMs)) / 1000,
        unit: 's',
        ...(name === 'medium' && { goal: { atMost: 1 } }),
        command: `whydrop report --json --netns NAME --duration ${WINDOW_SECONDS}s`,
      })),
      ...measured.map(({ name, runs }): Figure => ({
        id: `report.memory.${name}`,
        what: `peak memory: ${describe(SIZES[name])}`,
        value: Math.max(...runs.map(({ peakMB }) => peakMB)),
        unit: 'MB',
        ...(name === 'medium' && { goal: { atMost: 150 } }),
        command: 'VmHWM of the same runs, the highest',
      })),
    ],
    breakdowns: [stages(measured), checks(measured)],
    notes: checkTrouble(measured),
  };
}

interface Measured {
  readonly name: SizeName;
  readonly runs: readonly ReportRun[];
}

function ownMs({ wallMs }: ReportRun): number {
  return wallMs - WINDOW_SECONDS * 1000;
}

function stages(measured: readonly Measured[]): Breakdown {
  const parts: readonly (readonly [string, (run: ReportRun) => number])[] = [
    ['start: node, imports, enter the namespace', ({ beganMs }) => beganMs.starting],
    ['start the capture', ({ beganMs }) => beganMs.first - beganMs.starting],
    ['first reading', ({ beganMs }) => beganMs.window - beganMs.first],
    [
      'window, beyond its length',
      ({ beganMs }) => beganMs.last - beganMs.window - WINDOW_SECONDS * 1000,
    ],
    ['last reading, stop the capture', ({ beganMs }) => beganMs.judging - beganMs.last],
    ['judge, print, end', ({ beganMs, wallMs }) => wallMs - beganMs.judging],
    ['all of it', ownMs],
  ];
  return {
    title: 'Where the time goes',
    rows: [
      ['stage', ...measured.map(({ name }) => name)],
      ...parts.map(([what, part]) => [
        what,
        ...measured.map(({ runs }) => ms(median(runs.map(part)))),
      ]),
    ],
  };
}

/** Checks run side by side: their times overlap. */
function checks(measured: readonly Measured[]): Breakdown {
  const ids = measured[0]?.runs[0]?.report.checks.map(({ id }) => id) ?? [];
  const took = (run: ReportRun, id: string): number =>
    run.report.checks.find((check) => check.id === id)?.tookMs ?? Number.NaN;
  return {
    title: 'Checks, all readings added up; they run side by side, so the times overlap',
    rows: [
      ['check', ...measured.map(({ name }) => name)],
      ...ids.map((id) => [
        id,
        ...measured.map(({ runs }) => ms(median(runs.map((run) => took(run, id))))),
      ]),
    ],
  };
}

/** A check that gave up is cheap: the reader has to know. */
function checkTrouble(measured: readonly Measured[]): string[] {
  const trouble = measured.flatMap(({ name, runs }) =>
    runs.flatMap(({ report }) =>
      report.checks
        .filter(({ status }) => status !== 'ok' && status !== 'not-applicable')
        .map(({ id, status, reason = '' }) => `${name}: check ${id}: ${status}: ${reason}`),
    ),
  );
  return [...new Set(trouble)];
}

function describe({ rules, interfaces, sockets }: Size): string {
  const [a, b, c] = [rules, interfaces, sockets].map((count) => count.toLocaleString('en'));
  return `${a} rules, ${b} interfaces, ${c} sockets`;
}
