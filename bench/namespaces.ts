import { run } from '../test/lab/command.ts';
import type { CleanUp } from '../test/lab/network.ts';
import type { Section } from './figure.ts';
import { startReport, type ReportRun } from './report-run.ts';
import { median } from './statistics.ts';

const COUNTS = [25, 50, 100] as const;
const WINDOW_SECONDS = 5;

/** Time and memory of a report of all namespaces, as there are more. The goals are for the most. */
export async function measureNamespaces(
  program: string,
  rounds: number,
  cleanUp: CleanUp,
  say: (text: string) => void,
): Promise<Section> {
  const measured: { readonly count: number; readonly runs: readonly ReportRun[] }[] = [];
  let made = 0;
  for (const count of COUNTS) {
    say(`${count} namespaces`);
    for (; made < count; made += 1) {
      const name = `wd${process.pid}busy${made}`;
      await run(`ip netns add ${name}`);
      cleanUp.add(() => run(`ip netns del ${name}`));
      await run(
        `ip -n ${name} -batch -`,
        'link add left type veth peer name right\nlink set left up\nlink set right up\n',
      );
    }
    const runs: ReportRun[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const args = ['--netns', 'all', '--duration', `${WINDOW_SECONDS}s`];
      runs.push(await startReport(program, args).done);
    }
    measured.push({ count, runs });
  }
  await cleanUp.run();
  const most = COUNTS.at(-1);
  return {
    title: `All namespaces of a machine (${rounds} rounds, medians)`,
    figures: [
      ...measured.map(({ count, runs }) => ({
        id: `namespaces.seconds.${count}`,
        what: `time beyond the window: ${count} namespaces with two interfaces each`,
        value: median(runs.map(({ wallMs }) => wallMs / 1000 - WINDOW_SECONDS)),
        unit: 's' as const,
        ...(count === most && { goal: { atMost: 5 } }),
        command: `whydrop report --json --netns all --duration ${WINDOW_SECONDS}s`,
      })),
      ...measured.map(({ count, runs }) => ({
        id: `namespaces.memory.${count}`,
        what: `peak memory: ${count} namespaces`,
        value: Math.max(...runs.map(({ usage }) => usage.peakMB)),
        unit: 'MB' as const,
        ...(count === most && { goal: { atMost: 300 } }),
        command: 'VmHWM of the same runs, the highest',
      })),
    ],
    breakdowns: [],
    notes: [],
  };
}
