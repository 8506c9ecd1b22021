import { beforeAll, describe, expect, test } from 'vitest';
import type { Report, ReportDrops } from '../../src/model/report.ts';
import { workloads } from './healthy.ts';
import { makePair, restoreAfterCrash } from './network.ts';
import { labMissing } from './requirements.ts';
import { whydrop } from './whydrop.ts';

const missing = await labMissing();
/** As src/engine/verdict.ts: fewer drops that nothing explains are in every window of a healthy host. */
const UNEXPLAINED_PACKETS = 20;
/**
 * Drops with these reasons have a cause of their own, which goes by the counters of its namespace: seen
 * elsewhere, they are faults of other namespaces (a firewall next door).
 */
const FAULTS_OF_OTHERS = new Set([
  'IP_RPFILTER',
  'NETFILTER_DROP',
  'SOCKET_RCVBUFF',
  'CPU_BACKLOG',
]);
/** As long as the longest workload takes on a slow machine. */
const DURATION = '6s';

beforeAll(restoreAfterCrash);

describe.skipIf(missing !== null)(
  `silence on healthy hosts${missing === null ? '' : ` (${missing})`}`,
  () => {
    test.each(workloads)('$name', async (workload) => {
      const pair = await makePair();
      try {
        await workload.setUp?.(pair);
        const runs = [['--netns', pair.b], []].map((args) =>
          whydrop(['report', '--json', '--verbose', '--duration', DURATION, ...args]),
        );
        await Promise.all(runs.map(({ watching }) => watching));
        const { count, what, atLeast } = await workload.traffic(pair);
        const ended = await Promise.all(runs.map(({ done }) => done));
        expect(count, what).toBeGreaterThanOrEqual(atLeast);
        for (const { stdout, stderr, exitCode } of ended) {
          expect(exitCode, `${stderr}${stdout}`).toBe(0);
          expectSilence(JSON.parse(stdout) as Report, `${workload.name}, ${count} ${what}`);
        }
      } finally {
        await pair.cleanUp.run();
      }
    });
  },
);

function expectSilence(report: Report, name: string): void {
  const place = report.scope.netns[0] === undefined ? 'host' : 'namespace';
  // While several namespaces exist, what nothing explains is put down to the others.
  const others = report.elsewhere.drops.filter(
    ({ reason }) => reason === null || !FAULTS_OF_OTHERS.has(reason),
  );
  const unclaimed = [...report.unexplained, ...others];
  for (const drops of unclaimed) {
    process.stderr.write(`${name} (${place}): nothing explains ${describeDrops(drops)}\n`);
  }
  expect(report).toMatchObject({ verdict: 'ok', crashed: [], capture: { backend: 'tracefs' } });
  expect(report.causes.filter(({ severity }) => severity !== 'notice')).toEqual([]);
  expect(
    unclaimed.reduce((sum, { packets }) => sum + packets, 0),
    unclaimed.map(describeDrops).join(', '),
  ).toBeLessThan(UNEXPLAINED_PACKETS);
}

function describeDrops({ packets, reason, location, protocol }: ReportDrops): string {
  return `${packets} ${reason ?? ''}@${location} 0x${protocol.toString(16)}`;
}
