// Records every fault of the lab as a fixture: `npm run record-hosts`, as root. test/hosts/hosts.test.ts holds
// every rule against every recording. Read the differences in expected.json before committing them.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Report } from '../../src/model/report.ts';
import { faults } from './faults.ts';
import { makePair, restoreAfterCrash } from './network.ts';
import { whydrop } from './whydrop.ts';

const folder = fileURLToPath(new URL('../hosts/', import.meta.url));
const list = `${folder}expected.json`;

await restoreAfterCrash();
const expected = JSON.parse(await readFile(list, 'utf8').catch(() => '{}')) as Record<
  string,
  unknown
>;
for (const scenario of faults) {
  const file = `${scenario.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/-$/, '')}.whydrop.gz`;
  const pair = await makePair();
  try {
    await scenario.setUp(pair);
    const run = whydrop([
      'record',
      '--verbose',
      '-o',
      folder + file,
      '--netns',
      pair.b,
      '--duration',
      '3s',
    ]);
    await run.watching;
    await scenario.traffic(pair);
    const { exitCode, stderr } = await run.done;
    if (exitCode !== 0) throw new Error(`${file}: ${stderr}`);
  } finally {
    await pair.cleanUp.run();
  }
  const { stdout } = await whydrop(['report', '--json', '--from', folder + file]).done;
  const { verdict, causes } = JSON.parse(stdout) as Report;
  if (causes[0]?.id !== scenario.cause)
    throw new Error(`${file}: ${causes[0]?.id ?? 'nothing'} ranked first`);
  expected[file] = {
    verdict,
    causes: causes.map(({ id, severity, confidence, packets }) => ({
      id,
      severity,
      confidence,
      packets,
    })),
  };
  process.stdout.write(`${file}\n`);
}
await writeFile(list, `${JSON.stringify(expected, null, 2)}\n`);
