import { expect, test } from 'vitest';

import { runCommand } from '../../../src/host/command.ts';

test('a non-zero exit is an answer, not a failed reading', async () => {
  expect(await runCommand(['ls', '/nowhere'])).toEqual({
    status: 'ok',
    value: {
      stdout: '',
      stderr: "ls: cannot access '/nowhere': No such file or directory\n",
      exitCode: 2,
    },
  });
});

test('output comes back whole, final line breaks included', async () => {
  const output = await runCommand(['printf', 'a\n\n']);
  expect(output).toMatchObject({ status: 'ok', value: { stdout: 'a\n\n' } });
});

test('there is no shell', async () => {
  const output = await runCommand(['echo', '$(id); *', '`id`']);
  expect(output).toMatchObject({ status: 'ok', value: { stdout: '$(id); * `id`\n' } });
});

test('the environment is ours alone', async () => {
  process.env['WHYDROP_TEST_LEAK'] = 'yes';
  const output = await runCommand(['env']);
  delete process.env['WHYDROP_TEST_LEAK'];
  expect(output.status === 'ok' && output.value.stdout.trim().split('\n').sort()).toEqual([
    'LC_ALL=C',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
});

test('standard input is empty, so nothing waits for a terminal', async () => {
  expect(await runCommand(['cat'])).toMatchObject({ status: 'ok', value: { stdout: '' } });
});

test('a program that is not there is absent', async () => {
  expect(await runCommand(['no-such-program-here'])).toEqual({
    status: 'absent',
    reason: 'no-such-program-here: not installed',
  });
});

test('so is one that would only be run through a wrapper', async () => {
  expect(await runCommand(['no-such-program-here'], {}, ['env', '--'])).toEqual({
    status: 'absent',
    reason: 'no-such-program-here: not installed',
  });
});

test('what a program answered in time is not lost when we come late to see it', async () => {
  const answer = runCommand(['echo', 'hi'], { timeoutMs: 300 });
  // As if another check parsed a huge answer meanwhile: nobody reads, all timers are due after it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
  expect(await answer).toEqual({
    status: 'ok',
    value: { stdout: 'hi\n', stderr: '', exitCode: 0 },
  });
});

test('a program that does not answer is a timeout', async () => {
  expect(await runCommand(['sleep', '60'], { timeoutMs: 50 })).toEqual({
    status: 'timeout',
    reason: 'sleep: no answer within 0.05 s',
  });
});

test('a program that ends by a signal is not taken for an answer', async () => {
  const output = await runCommand(['bash', '-c', 'kill -9 $$']);
  expect(output.status).toBe('crashed');
});

test.each([
  ['longer than the kernel takes', 'x'.repeat(4 * 1024 * 1024)],
  ['with a NUL', 'a\0b'],
])('an argument %s is a failed reading', async (_, argument) => {
  expect((await runCommand(['echo', argument])).status).toBe('crashed');
});
