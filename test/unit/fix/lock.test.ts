import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

import { expect, test } from 'vitest';

import { acquireLock } from '../../../src/fix/lock.ts';

const holder = `
  import { acquireLock } from ${JSON.stringify(path.resolve(import.meta.dirname, '../../../src/fix/lock.ts'))};
  const lock = await acquireLock(process.argv[1]);
  console.log(lock.status);
  setInterval(() => {}, 1000);
`;

test('one at a time, across processes; a holder that was killed holds nothing', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'whydrop-lock-'));
  try {
    const args = ['--import', 'tsx', '--input-type=module', '-e', holder, directory];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    expect(said.toString()).toBe('ok\n');
    expect(await acquireLock(directory)).toEqual({
      status: 'denied',
      reason: `another whydrop (process ${child.pid}) is changing settings: wait until it is done`,
    });

    child.kill('SIGKILL');
    await once(child, 'exit');
    const ours = await acquireLock(directory);
    expect(ours.status).toBe('ok');
    expect((await acquireLock(directory)).status).toBe('denied');
    if (ours.status === 'ok') await ours.value.release();
    const again = await acquireLock(directory);
    expect(again.status).toBe('ok');
    if (again.status === 'ok') await again.value.release();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('without a directory there is no lock', async () => {
  expect((await acquireLock('/nonexistent/whydrop')).status).toBe('denied');
});
