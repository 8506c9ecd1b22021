import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { directView } from '../../../src/host/direct.ts';
import { parsePrettyName } from '../../../src/host/facts.ts';
import { listDirectory, readTextFile } from '../../../src/host/files.ts';

const directory = mkdtempSync(join(tmpdir(), 'whydrop-files-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

test('reads a file of procfs, whose size is said to be 0', async () => {
  const reading = await readTextFile('/proc/sys/net/ipv4/ip_forward');
  expect(reading).toMatchObject({
    status: 'ok',
    value: expect.stringMatching(/^[01]\n$/) as string,
  });
});

test('reads a file longer than one read', async () => {
  const path = join(directory, 'long');
  const text = 'x'.repeat(200_000);
  writeFileSync(path, text);
  expect(await readTextFile(path)).toEqual({ status: 'ok', value: text });
});

test('refuses a file larger than 64 MiB, and takes one of exactly that', async () => {
  const path = join(directory, 'huge');
  writeFileSync(path, '');
  truncateSync(path, 64 * 1024 * 1024);
  expect((await readTextFile(path)).status).toBe('ok');
  truncateSync(path, 64 * 1024 * 1024 + 1);
  expect(await readTextFile(path)).toMatchObject({
    status: 'malformed',
    reason: `${path}: larger than 64 MiB`,
  });
});

test('a FIFO that nobody writes does not hang the reader', async () => {
  const path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  expect(await readTextFile(path)).toEqual({ status: 'ok', value: '' });
});

test('tells absent, denied and malformed apart', async () => {
  const readings = await directView.readFiles([
    join(directory, 'none'),
    // Write-only, so that not even root reads it.
    '/proc/sys/net/ipv4/route/flush',
    directory,
    `/${'x'.repeat(300)}`,
    '/a\0b',
  ]);
  expect(readings.map(({ status }) => status)).toEqual([
    'absent',
    'denied',
    'malformed',
    'malformed',
    'absent',
  ]);
});

test('many files come back in the order asked', async () => {
  const paths = Array.from({ length: 50 }, (_, index) => join(directory, `n${index}`));
  for (const [index, path] of paths.entries()) writeFileSync(path, String(index));
  const readings = await directView.readFiles(paths);
  expect(readings.map((reading) => reading.status === 'ok' && reading.value)).toEqual(
    paths.map((_, index) => String(index)),
  );
});

test('lists names sorted; a file is no directory', async () => {
  const path = join(directory, 'list');
  execFileSync('mkdir', [path]);
  for (const name of ['b', 'a10', 'a9', '.hidden']) writeFileSync(join(path, name), '');
  expect(await listDirectory(path)).toEqual({ status: 'ok', value: ['.hidden', 'a10', 'a9', 'b'] });
  expect((await listDirectory(join(path, 'a9'))).status).toBe('malformed');
  expect((await listDirectory(join(path, 'none'))).status).toBe('absent');
});

test.each([
  ['PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian"', 'Debian GNU/Linux 12 (bookworm)'],
  ["ID=x\nPRETTY_NAME='Arch Linux'\n", 'Arch Linux'],
  ['PRETTY_NAME=Void\n', 'Void'],
  [String.raw`PRETTY_NAME="a \"quoted\" \$name"`, 'a "quoted" $name'],
  ['NAME=Debian\n', ''],
  ['', ''],
])('distribution of %j', (text, name) => {
  expect(parsePrettyName(text)).toBe(name);
});
