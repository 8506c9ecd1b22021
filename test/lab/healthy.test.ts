import { beforeAll, describe, expect, test } from 'vitest';
import type { Report, ReportDrops } from '../../src/model/report.ts';
import { workloads } from './healthy.ts';
import { makePair, restoreAfterCrash, type Pair } from './network.ts';
import { labMissing } from './requirements.ts';
import { diagnoseDuring, type View } from './whydrop.ts';

const missing = await labMissing();
/** As src/engine/verdict.ts: fewer drops that nothing explains are in every window of a healthy host. */
const UNEXPLAINED_PACKETS = 20;
/**
 * Tracefs cannot tell in which namespace a packet died, so what nothing explains is put down to other ones; except
 * that drops with these reasons, or without one at these functions, have a cause of their own, which goes by the
 * counters of its namespace: seen elsewhere, they are faults of other namespaces (a firewall next door).
 */
const FAULTS_OF_OTHERS = new Set([
  'IP_RPFILTER',
  'NETFILTER_DROP',
  'SOCKET_RCVBUFF',
  'CPU_BACKLOG',
  'QDISC_DROP',
  '__dev_forward_skb2',
  'ip_fragment',
  'ip6_fragment',
]);

beforeAll(restoreAfterCrash);

describe.skipIf(missing !== null)(
  `silence on healthy hosts${missing === null ? '' : ` (${missing})`}`,
  () => {
    test.each(workloads)('$name', async (workload) => {
      const pair = await makePair();
      try {
        await workload.setUp?.(pair);
        const { reports, result } = await diagnoseDuring(viewsOf(pair), () =>
          workload.traffic(pair),
        );
        const done = [result].flat();
        for (const { count, what, atLeast } of done) {
          expect(count, what).toBeGreaterThanOrEqual(atLeast);
        }
        const work = done.map(({ count, what }) => `${count} ${what}`).join(', ');
        for (const report of reports) expectSilence(report, `${workload.name}, ${work}`);
        expect(reports.map(({ capture }) => capture.backend)).toEqual(
          viewsOf(pair).flatMap(({ captures }) => captures),
        );
      } finally {
        await pair.cleanUp.run();
      }
    });
  },
);

/** The namespace and the whole host, under both captures. */
function viewsOf({ b }: Pair): readonly View[] {
  return [b, null].map((netns) => ({ netns, captures: ['bpf', 'tracefs'] }));
}

function expectSilence(report: Report, name: string): void {
  const place = `${report.scope.netns[0] === undefined ? 'host' : 'namespace'}, ${report.capture.backend}`;
  const others =
    report.capture.backend === 'bpf'
      ? []
      : report.elsewhere.drops.filter(
          ({ reason, location }) =>
            !FAULTS_OF_OTHERS.has(reason === 'NOT_SPECIFIED' ? location : (reason ?? '')),
        );
  const unclaimed = [...report.unexplained, ...others];
  for (const drops of unclaimed) {
    process.stderr.write(`${name} (${place}): nothing explains ${describeDrops(drops)}\n`);
  }
  expect(report, `${place}: ${JSON.stringify(report)}`).toMatchObject({
    verdict: 'ok',
    crashed: [],
  });
  expect(report.causes.filter(({ severity }) => severity !== 'notice')).toEqual([]);
  expect(
    unclaimed.reduce((sum, { packets }) => sum + packets, 0),
    unclaimed.map(describeDrops).join(', '),
  ).toBeLessThan(UNEXPLAINED_PACKETS);
}

function describeDrops({ packets, reason, location, protocol }: ReportDrops): string {
  return `${packets} ${reason ?? ''}@${location} 0x${protocol.toString(16)}`;
}
