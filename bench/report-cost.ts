import type { CleanUp } from '../test/lab/network.ts';
import type { Size } from './busy-namespace.ts';
import type { Figure, Section } from './figure.ts';
import {
  checks,
  checkTrouble,
  describe,
  measureSize,
  peakMemory,
  reportCommand,
  secondsBeyond,
  stages,
  type Measured,
  type MeasureOptions,
} from './report-sizes.ts';

const SIZES = {
  small: { rules: 100, interfaces: 10, udpSockets: 1000, tcpSockets: 0 },
  medium: { rules: 1000, interfaces: 100, udpSockets: 10_000, tcpSockets: 0 },
  large: { rules: 3000, interfaces: 300, udpSockets: 30_000, tcpSockets: 0 },
} as const satisfies Readonly<Record<string, Size>>;

/** Time and memory of a report as a host grows. The goals are for the medium size. */
export async function measureReports(
  options: MeasureOptions,
  newCleanUp: () => CleanUp,
): Promise<Section> {
  const measured: Measured[] = [];
  // One size after the other: the kernel keeps the sockets of all namespaces in one table and walks
  // past those of the others.
  for (const [name, size] of Object.entries(SIZES)) {
    measured.push(await measureSize(options, name, size, newCleanUp()));
  }
  return {
    title: `A report on a busy host (${options.rounds} rounds, medians)`,
    figures: [
      ...measured.map((of): Figure => ({
        id: `report.seconds.${of.name}`,
        what: `time beyond the window: ${describe(of.size)}`,
        value: secondsBeyond(of),
        unit: 's',
        ...(of.name === 'medium' && { goal: { atMost: 1 } }),
        command: reportCommand(options),
      })),
      ...measured.map((of): Figure => ({
        id: `report.memory.${of.name}`,
        what: `peak memory: ${describe(of.size)}`,
        value: peakMemory(of),
        unit: 'MB',
        ...(of.name === 'medium' && { goal: { atMost: 150 } }),
        command: 'VmHWM of the same runs, the highest',
      })),
    ],
    breakdowns: [stages(measured), checks(measured)],
    notes: checkTrouble(measured),
  };
}
