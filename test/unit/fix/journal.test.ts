import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  newSessionId,
  parseSession,
  prepareStateDirectory,
  readJournal,
  saveSession,
  type Session,
} from '../../../src/fix/journal.ts';
import { planFixes } from '../../../src/fix/plan.ts';
import { runFixes } from '../../../src/fix/run.ts';
import { agreeing, cause, fix, measured, report, sysctl } from './fixture.ts';
import { containing } from './matchers.ts';
import { makeSandbox, removeSandbox, snapshot, type Sandbox } from './sandbox.ts';

const run = promisify(execFile);
const isRoot = process.geteuid?.() === 0;

const session: Session = {
  schema: 'whydrop.journal/1',
  id: '20261121-230000',
  entries: [
    {
      number: 1,
      appliedAt: '2026-11-21T23:00:00.000Z',
      cause: 'c',
      causeTitle: 'C',
      fix: 'f',
      fixTitle: 'F',
      phase: 'kept',
      outcome: 'verified',
      steps: [
        {
          key: 'net.ipv4.conf.eth0/100.rp_filter',
          target: {
            kind: 'netns',
            name: 'b',
            path: '/run/netns/b',
            inode: '4026532528',
            mark: 'made:1',
            bootId: 'x',
          },
          before: '1\n',
          to: '2',
          became: '2\n',
          state: 'written',
          sideEffects: [],
        },
      ],
      persisted: [],
    },
  ],
};

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'whydrop-journal-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `node` with every field of that name replaced; what it is replaced by stays as it is. */
function replaced(node: unknown, field: string, by: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => replaced(item, field, by));
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, old]) => [key, key === field ? by : replaced(old, field, by)]),
  );
}

/** The session with one field replaced, as text. */
const tampered = (field: string, by: unknown): string =>
  JSON.stringify(replaced(session, field, by));

test('what is saved is read again, root only, and nothing is left beside it', () =>
  inDirectory(async (directory) => {
    expect((await saveSession(directory, session)).status).toBe('ok');
    expect(await readdir(directory)).toEqual(['20261121-230000.json']);
    expect((await stat(path.join(directory, '20261121-230000.json'))).mode & 0o777).toBe(0o600);
    expect(await readJournal(directory)).toEqual({
      status: 'ok',
      value: { sessions: [session], damaged: [] },
    });
    expect(await newSessionId(directory, new Date('2026-11-21T23:00:00.900Z'))).toBe(
      '20261121-230000-2',
    );
  }));

test('what could not be read again is not saved', () =>
  inDirectory(async (directory) => {
    const broken: Session = { ...session, entries: [] };
    expect((await saveSession(directory, broken)).status).toBe('malformed');
    expect(await readdir(directory)).toEqual([]);
  }));

test.each([
  ['key', 'kernel.core_pattern'],
  ['key', 'net.//.//.etc.passwd'],
  ['key', '/etc/passwd'],
  ['key', 'net..x'],
  ['key', 'net.core.somax\nconn'],
  ['key', ''],
  ['before', '|/tmp/x\u0000'],
  ['before', '\u001B[2J'],
  ['to', '1\n2'],
  ['path', 'relative'],
  ['id', '../../etc'],
  ['phase', 'undone'],
  ['schema', 'whydrop.journal/2'],
])('a journal with %s %j is refused', (field, value) => {
  const text = tampered(field, value);
  expect(parseSession(text).status).toBe('malformed');
});

test('garbage is never taken for a journal and never throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary' })), (text) => {
      expect(parseSession(text).status).toBe('malformed');
    }),
  );
  const whole = JSON.stringify(session);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), (end) => {
      expect(parseSession(whole.slice(0, end)).status).toBe('malformed');
    }),
  );
});

test('a journal with any field replaced by anything names only settings that may be written', () => {
  const fields = [
    'key',
    'before',
    'to',
    'became',
    'target',
    'steps',
    'number',
    'path',
    'sideEffects',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...fields), fc.jsonValue(), (field, value) => {
      const parsed = parseSession(tampered(field, value));
      if (parsed.status !== 'ok') return;
      for (const step of parsed.value.entries.flatMap(({ steps }) => steps)) {
        expect(step.key).toMatch(/^net\.|^vm\.min_free_kbytes$/);
      }
    }),
  );
});

test("damaged files are named and left alone; other files are nobody's business", () =>
  inDirectory(async (directory) => {
    await saveSession(directory, session);
    await writeFile(path.join(directory, '20261121-230001.json'), '{"schema":');
    await writeFile(path.join(directory, '20261121-230002.json'), JSON.stringify(session));
    await symlink('/etc/passwd', path.join(directory, '20261121-230003.json'));
    await writeFile(path.join(directory, '.20261121-230004.json.new'), 'x');
    await writeFile(path.join(directory, 'notes.txt'), 'x');
    const journal = await readJournal(directory);
    expect(journal).toMatchObject({
      value: {
        sessions: [{ id: '20261121-230000' }],
        damaged: [
          { reason: 'not JSON' },
          { reason: 'holds another id' },
          { reason: containing('ELOOP') },
        ],
      },
    });
    expect(await readdir(directory)).toHaveLength(6);
  }));

test('no directory is an empty journal', async () => {
  expect(await readJournal('/nonexistent/whydrop')).toEqual({
    status: 'ok',
    value: { sessions: [], damaged: [] },
  });
});

test('the state directory is made for root only; one that others may enter is refused', () =>
  inDirectory(async (directory) => {
    const inner = path.join(directory, 'lib/whydrop');
    expect((await prepareStateDirectory(inner)).status).toBe('ok');
    expect((await stat(inner)).mode & 0o777).toBe(0o700);
    await chmod(inner, 0o755);
    expect(await prepareStateDirectory(inner)).toMatchObject({
      status: 'denied',
      reason: containing('chmod 700'),
    });
    const link = path.join(directory, 'link');
    await symlink(inner, link);
    expect(await prepareStateDirectory(link)).toMatchObject({ status: 'denied' });
  }));

const wanted = [cause('c', [fix('f', [sysctl('net.core.somaxconn', '128', '256')])])];

/** A fix whose journal lies on a file system of its own; @returns the reason of the refusal. */
async function refusedBy(
  mountOptions: string,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const sandbox: Sandbox = await makeSandbox({ 'net.core.somaxconn': '128\n' });
  const { environment } = sandbox;
  const { stateDirectory } = environment;
  try {
    await prepareStateDirectory(stateDirectory);
    await run('mount', ['-t', 'tmpfs', '-o', `mode=0700,${mountOptions}`, 'none', stateDirectory]);
    try {
      await fill(stateDirectory);
      const before = await snapshot(path.join(sandbox.directory, 'sysctls'));
      const options = agreeing(wanted, measured(0, 10_000));
      const result = await runFixes(planFixes(report(wanted)), environment, options);
      expect(await snapshot(path.join(sandbox.directory, 'sysctls'))).toEqual(before);
      if (result.status !== 'ok') return result.reason;
      expect(result.value).toMatchObject([{ outcome: 'refused' }]);
      return result.value[0]?.reason ?? '';
    } finally {
      await run('umount', [stateDirectory]);
    }
  } finally {
    await removeSandbox(sandbox);
  }
}

test.skipIf(!isRoot)(
  'a full disk refuses the fix before any write (root: mounts a tmpfs)',
  async () => {
    const reason = await refusedBy('size=16k', async (directory) => {
      await writeFile(path.join(directory, 'ballast'), Buffer.alloc(1 << 20)).catch(
        () => undefined,
      );
    });
    expect(reason).toMatch(/cannot be written: the disk is full$/);
  },
);

test.skipIf(!isRoot)(
  'a read-only disk refuses the fix before any write (root: mounts a tmpfs)',
  async () => {
    const reason = await refusedBy('ro', async () => await Promise.resolve());
    expect(reason).toMatch(/EROFS|read-only/);
  },
);
