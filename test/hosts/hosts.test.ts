import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { checks } from '../../checks/index.ts';
import { rules } from '../../rules/index.ts';
import { diagnose } from '../../src/engine/diagnose.ts';
import { openReplay } from '../../src/host/index.ts';
import type { Report } from '../../src/model/report.ts';

/** Recordings of real hosts, and exactly the causes that all rules together find in each. */
const folder = fileURLToPath(new URL('.', import.meta.url));
const expected = JSON.parse(readFileSync(`${folder}expected.json`, 'utf8')) as Record<
  string,
  Pick<Report, 'verdict' | 'causes'>
>;
const recordings = readdirSync(folder).filter((name) => name.endsWith('.whydrop.gz'));

test('every recording has its expectation, and the other way round', () => {
  expect(recordings.sort()).toEqual(Object.keys(expected).sort());
  expect(recordings.length).toBeGreaterThan(10);
});

test.each(recordings)('%s', async (name) => {
  const host = await openReplay(folder + name);
  if (host.status !== 'ok') throw new Error(host.reason);
  const { startedAt, seconds } = host.value.header;
  const { report } = await diagnose(host.value, checks, rules, {
    version: 'test',
    startedAt: new Date(startedAt),
    seconds,
    capture: 'auto',
    interfaces: [],
    only: [],
    suppressions: [],
  });
  const causes = report.causes.map(({ id, severity, confidence, packets }) => ({
    id,
    severity,
    confidence,
    packets,
  }));
  expect({ verdict: report.verdict, causes }).toEqual(expected[name]);
  expect(report.crashed).toEqual([]);
});
