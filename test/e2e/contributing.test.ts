import { execa } from 'execa';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** The code blocks of CONTRIBUTING.md that follow the name of their file. */
async function examples(): Promise<{ file: string; code: string }[]> {
  const text = await readFile(join(repository, 'CONTRIBUTING.md'), 'utf8');
  return [
    ...text.matchAll(/^\*\*\d\. [\w ]+\*\*, `([\w/.-]+\.ts)`[\s\S]*?^```ts\n([\s\S]*?)^```/gm),
  ].map(([, file = '', code = '']) => ({ file, code }));
}

/** What git would hand a newcomer, with the packages that `npm ci` would install. */
async function copyOfRepository(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'whydrop-newcomer-'));
  const { stdout } = await execa(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard'],
    {
      cwd: repository,
    },
  );
  for (const file of stdout.split('\n').filter((name) => !name.startsWith('test/hosts/'))) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await cp(join(repository, file), join(copy, file)).catch(() => {
      // git still lists a file that was deleted but not committed.
    });
  }
  await symlink(join(repository, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

test('CONTRIBUTING.md: a rule file and an example make a new rule, one more file its fault', async () => {
  const files = await examples();
  expect(files.map(({ file }) => file)).toEqual([
    'rules/udp/udplite-csum-error.ts',
    'test/unit/rules/examples/udplite.ts',
    'test/lab/faults/udplite.ts',
  ]);
  const copy = await copyOfRepository();
  try {
    for (const { file, code } of files) await writeFile(join(copy, file), code);
    const ids = join(copy, 'test/unit/catalogue/cause-ids.ts');
    const known = await readFile(ids, 'utf8');
    await writeFile(ids, known.replace('new Set([', "new Set([\n  'udplite-csum-error',"));
    await execa('npm', ['run', 'build'], { cwd: copy });
    // Its own tests, and those that any rule without an example fails.
    const tested = await execa(
      'npx',
      'vitest run --project unit test/unit/rules/every-rule -t udplite|^every'.split(' '),
      { cwd: copy },
    );
    expect(tested.stdout).toContain('8 passed');
    const { stdout } = await execa('node', ['dist/src/cli/main.js', 'list', 'causes'], {
      cwd: copy,
    });
    expect(stdout).toContain('udplite-csum-error');
    const lint = await execa('npx', ['oxlint', '--type-aware', ...files.map(({ file }) => file)], {
      cwd: copy,
    });
    expect(lint.exitCode).toBe(0);
    const types = await execa('npx', ['tsc'], { cwd: copy });
    expect(types.exitCode).toBe(0);
  } finally {
    await rm(copy, { recursive: true });
  }
});
