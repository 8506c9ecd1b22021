import type { CleanUp } from '../test/lab/network.ts';
import { makeBusyNamespace, type Size } from './busy-namespace.ts';
import { ms, type Breakdown } from './figure.ts';
import { startReport, type ReportRun } from './report-run.ts';
import { median } from './statistics.ts';

/** As somebody would type it. */
export function reportCommand({ windowSeconds }: MeasureOptions): string {
  return `whydrop report --json --netns NAME --duration ${windowSeconds}s`;
}

/** Reports of one namespace. */
export interface Measured {
  /** Heads a column. */
  readonly name: string;
  readonly size: Size;
  readonly windowSeconds: number;
  readonly runs: readonly ReportRun[];
}

/** Makes a namespace of that size, and reports on it. */
export async function measureSize(
  { program, rounds, windowSeconds, say }: MeasureOptions,
  name: string,
  size: Size,
  cleanUp: CleanUp,
): Promise<Measured> {
  say(`a namespace of ${describe(size)}`);
  const netns = await makeBusyNamespace(size, cleanUp);
  const runs: ReportRun[] = [];
  for (let round = 0; round < rounds; round += 1) {
    runs.push(
      await startReport(program, ['--netns', netns, '--duration', `${windowSeconds}s`]).done,
    );
  }
  await cleanUp.run();
  return { name, size, windowSeconds, runs };
}

export interface MeasureOptions {
  /** The built main.js. */
  readonly program: string;
  readonly rounds: number;
  readonly windowSeconds: number;
  readonly say: (text: string) => void;
}

/** Median of the seconds beyond the window. */
export function secondsBeyond({ windowSeconds, runs }: Measured): number {
  return median(runs.map(({ wallMs }) => wallMs)) / 1000 - windowSeconds;
}

/** The highest of all runs, in MB. */
export function peakMemory({ runs }: Measured): number {
  return Math.max(...runs.map(({ usage }) => usage.peakMB));
}

/** Median, of whydrop and the programs it ran. */
export function cpuSeconds({ runs }: Measured): number {
  return median(runs.map(({ usage }) => usage.cpuMs)) / 1000;
}

export function stages(measured: readonly Measured[]): Breakdown {
  const parts: readonly (readonly [string, (run: ReportRun, windowMs: number) => number])[] = [
    ['start: node, imports, enter the namespace', ({ beganMs }) => beganMs.starting],
    ['start the capture', ({ beganMs }) => beganMs.first - beganMs.starting],
    ['first reading', ({ beganMs }) => beganMs.window - beganMs.first],
    [
      'window, beyond its length',
      ({ beganMs }, windowMs) => beganMs.last - beganMs.window - windowMs,
    ],
    ['last reading, stop the capture', ({ beganMs }) => beganMs.judging - beganMs.last],
    ['judge, print, end', ({ beganMs, wallMs }) => wallMs - beganMs.judging],
    ['all of it', ({ wallMs }, windowMs) => wallMs - windowMs],
  ];
  return {
    title: 'Where the time goes',
    rows: [
      ['stage', ...measured.map(({ name }) => name)],
      ...parts.map(([what, part]) => [
        what,
        ...measured.map(({ windowSeconds, runs }) =>
          ms(median(runs.map((run) => part(run, windowSeconds * 1000)))),
        ),
      ]),
    ],
  };
}

/** Checks run side by side: their times overlap. */
export function checks(measured: readonly Measured[]): Breakdown {
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
export function checkTrouble(measured: readonly Measured[]): string[] {
  const trouble = measured.flatMap(({ name, runs }) =>
    runs.flatMap(({ report }) =>
      report.checks
        .filter(({ status }) => status !== 'ok' && status !== 'not-applicable')
        .map(({ id, status, reason = '' }) => `${name}: check ${id}: ${status}: ${reason}`),
    ),
  );
  return [...new Set(trouble)];
}

export function describe({ rules, interfaces, udpSockets, tcpSockets }: Size): string {
  const counts = { rules, interfaces, 'UDP sockets': udpSockets, 'TCP sockets': tcpSockets };
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count.toLocaleString('en')} ${what}`);
  return parts.length === 0 ? 'nothing' : parts.join(', ');
}
