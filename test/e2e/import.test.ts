import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ImportReport } from '../../src/model/import-report.ts';
import { shell, whydrop, type Ended } from './program.ts';

const sample = (name: string) => fileURLToPath(new URL(`../samples/${name}`, import.meta.url));

let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'whydrop-import-'));
  await chmod(directory, 0o755);
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

function expectRefusal({ exitCode, stdout, stderr }: Ended, says: RegExp): void {
  expect(stderr).toMatch(says);
  expect(stderr).toMatch(/^whydrop: /);
  expect(stderr).not.toMatch(/^ +at |fault of whydrop/m);
  expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
}

test.each([
  ['dropwatch-centos6.txt', 0, /^OK: 92 drops/],
  ['netstat-i.txt', 3, /^UNKNOWN: Only totals since boot/],
])('%s ends with %i', async (name, exitCode, says) => {
  const ended = await whydrop(['import', '--plain', sample(name)], { asNobody: true });
  expect(ended).toMatchObject({ exitCode, stderr: '' });
  expect(ended.stdout).toMatch(says);
});

test('losses: from standard input, as JSON, into a file, and how it ends', async () => {
  const lines = '20 drops at enqueue_to_backlog+1f3 (0xffffffff8147b4ef) [software]';
  const out = join(directory, 'out.json');
  const piped = await shell(`echo '${lines}' | $WHYDROP import --json -`);
  expect(piped).toMatchObject({ exitCode: 1, stderr: '' });
  const report = JSON.parse(piped.stdout) as ImportReport;
  expect(report).toMatchObject({
    schema: 'whydrop.import/1',
    input: { file: '-' },
    verdict: 'warning',
  });
  const quiet = await shell(
    `echo '${lines}' | $WHYDROP import --fail-on critical -o ${out} - && cat ${out}`,
  );
  expect(quiet).toMatchObject({ exitCode: 0, stderr: '' });
  expect(quiet.stdout).toContain('WARNING: 20 of 20 drops may be lost traffic');
});

test('what it cannot read is refused, and it is said what was expected', async () => {
  const expected = /reads what these print: dropwatch; perf script/;
  expectRefusal(await whydrop(['import', await file('empty', '')]), /it is empty/);
  expectRefusal(await shell('$WHYDROP import - < /dev/null'), /standard input: it is empty/);
  expectRefusal(await whydrop(['import', await file('prose', 'Hello\nWorld\n')]), expected);
  expectRefusal(await shell('head -c 100000 /dev/urandom | $WHYDROP import -'), /not text/);
  expectRefusal(
    await whydrop(['import', await file('perf.data', 'PERFILE2\0')]),
    /perf script -i FILE/,
  );
  const secret = await file('secret', 'x');
  await chmod(secret, 0o600);
  expectRefusal(await whydrop(['import', secret], { asNobody: true }), /permission denied/);
  expectRefusal(await whydrop(['import', join(directory, 'none')]), /no such file/);
  expectRefusal(await whydrop(['import', directory]), /EISDIR|is a directory/i);
  const { exitCode, stderr } = await whydrop(['import']);
  expect(exitCode).toBe(3);
  expect(stderr).toMatch(/missing required argument/);
});
