import { mkdtemp, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { keyAtBoot, parseSettings, readBootSettings } from '../../../src/fix/boot-settings.ts';
import { editDropIn, persistWarnings } from '../../../src/fix/drop-in.ts';
import { putFile } from './sandbox.ts';

async function inRoot(
  files: Readonly<Record<string, string>>,
  work: (root: string) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'whydrop-boot-'));
  try {
    for (const [file, text] of Object.entries(files)) await putFile(path.join(root, file), text);
    await work(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const key = 'net.ipv4.conf.eth0.rp_filter';

async function winnerIn(root: string, wanted = key): Promise<string | undefined> {
  const { winner } = keyAtBoot(await readBootSettings(root), wanted);
  return winner === undefined ? undefined : `${path.relative(root, winner.file)}:${winner.line}`;
}

test('files apply by name, whatever directory they are in; the last line wins', () =>
  inRoot(
    {
      'etc/sysctl.d/10-a.conf': `${key} = 0\n`,
      'usr/lib/sysctl.d/50-default.conf': `# c\n; c\n${key}=1\n-net/ipv4/conf/eth0/rp_filter = 2\n`,
      'run/sysctl.d/20-b.conf': `${key}=1\n`,
      'etc/sysctl.d/60-not-a-conf.txt': `${key}=9\n`,
    },
    async (root) => {
      expect(await winnerIn(root)).toBe('usr/lib/sysctl.d/50-default.conf:4');
      const { setBy } = keyAtBoot(await readBootSettings(root), key);
      expect(setBy.map(({ value }) => value)).toEqual(['0', '1', '1', '2']);
    },
  ));

test('a file in /etc hides the one of its name in /usr/lib, also when it is empty', () =>
  inRoot(
    { 'usr/lib/sysctl.d/50-x.conf': `${key}=1\n`, 'usr/lib/sysctl.d/60-y.conf': `${key}=2\n` },
    async (root) => {
      await putFile(path.join(root, 'etc/sysctl.d/60-y.conf'), '');
      expect(await winnerIn(root)).toBe('usr/lib/sysctl.d/50-x.conf:1');
      await symlink('/dev/null', path.join(root, 'etc/sysctl.d/50-x.conf'));
      expect(await winnerIn(root)).toBeUndefined();
    },
  ));

test('sysctl.conf comes last, unless Debian links it into the directory', () =>
  inRoot(
    { 'etc/sysctl.conf': `${key}=1\n`, 'etc/sysctl.d/99-zz.conf': `${key}=2\n` },
    async (root) => {
      expect(await winnerIn(root)).toBe('etc/sysctl.conf:1');
      await symlink('../sysctl.conf', path.join(root, 'etc/sysctl.d/99-sysctl.conf'));
      expect(await winnerIn(root)).toBe('etc/sysctl.d/99-zz.conf:1');
    },
  ));

test('ufw sets its own after all others, when it is on', () =>
  inRoot(
    {
      'etc/ufw/ufw.conf': '# x\nENABLED=no\n',
      'etc/ufw/sysctl.conf': 'net/ipv4/conf/eth0/rp_filter=1\n',
    },
    async (root) => {
      expect(await winnerIn(root)).toBeUndefined();
      await putFile(path.join(root, 'etc/ufw/ufw.conf'), 'ENABLED=yes\n');
      expect(await winnerIn(root)).toBe('etc/ufw/sysctl.conf:1');
    },
  ));

test('a pattern gives way to a line that names the key, and to a line that forbids it', () => {
  const winner = (text: string, wanted = key): string | null | undefined =>
    keyAtBoot(parseSettings('f', text), wanted).winner?.value;
  expect(winner('net.ipv4.conf.*.rp_filter = 2')).toBe('2');
  expect(winner('net.ipv4.conf.eth[0-3].rp_filter = 2')).toBe('2');
  expect(winner('net.ipv4.conf.eth[!0].rp_filter = 2')).toBeUndefined();
  expect(winner('net.ipv4.*.rp_filter = 2')).toBeUndefined();
  expect(winner(`${key} = 1\nnet.ipv4.conf.*.rp_filter = 2`)).toBe('1');
  expect(winner(`net.ipv4.conf.*.rp_filter = 2\n-${key}`)).toBeUndefined();
  expect(winner('net.ipv4.conf.eth0/100.rp_filter = 2', 'net.ipv4.conf.eth0/100.rp_filter')).toBe(
    '2',
  );
  expect(winner('net/ipv4/conf/eth0.100/rp_filter = 2', 'net.ipv4.conf.eth0/100.rp_filter')).toBe(
    '2',
  );
});

test('no text of a file and no key makes it throw', () => {
  const line = fc
    .array(fc.constantFrom('net', '.', '/', '*', '[', ']', '!', '=', '-', 'z-a', '\\', ' '))
    .map((all) => all.join(''));
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), fc.string(), (lines, wanted) => {
      const settings = parseSettings('f', lines.join('\n'));
      expect(keyAtBoot(settings, wanted).setBy.length).toBeLessThanOrEqual(settings.length);
      expect(keyAtBoot(settings, 'net.net').setBy.length).toBeLessThanOrEqual(settings.length);
    }),
  );
});

test('warned of: what comes later, a module that is not loaded yet', () =>
  inRoot(
    {
      'etc/sysctl.d/10-early.conf': 'net.core.somaxconn=1\nnet.netfilter.nf_conntrack_max=1\n',
      'usr/lib/sysctl.d/95-late.conf': 'net.core.optmem_max=7\nnet.core.*=9\n',
    },
    async (root) => {
      expect(await persistWarnings(root, 'net.core.somaxconn')).toEqual([]);
      expect(await persistWarnings(root, 'net.core.optmem_max')).toEqual([
        expect.stringContaining('95-late.conf line 1 sets net.core.optmem_max to 7 later'),
      ]);
      expect(await persistWarnings(root, 'net.netfilter.nf_conntrack_max')).toEqual([
        expect.stringContaining('/etc/modules-load.d'),
      ]);
    },
  ));

const note = '20261121-230000.1: c/f';

test('setting and removing a line leaves the lines of others as they were', () => {
  const foreign = fc
    .array(fc.constantFrom('# mine', 'net.core.a = 1', '', '; x', 'net.core.b=2'), { minLength: 1 })
    .map((lines) => [...lines, 'net.core.c = 3'].join('\n'));
  fc.assert(
    fc.property(foreign, (text) => {
      const set = editDropIn(text, [{ key: 'net.core.x', value: '5', note }]);
      expect(editDropIn(set, [{ key: 'net.core.x', value: '5', note }])).toBe(set);
      const removed = editDropIn(set, [{ key: 'net.core.x', value: null, onlyIf: '5', note }]);
      expect(removed.split('\n').slice(2).join('\n')).toBe(`${text}\n`);
    }),
  );
});

test('the file is empty again when nothing else is in it; a line somebody changed stays', () => {
  const set = editDropIn('', [{ key: 'net.core.x', value: '5', note }]);
  expect(set).toContain(`# whydrop ${note}\nnet.core.x = 5\n`);
  const removal = { key: 'net.core.x', value: null, onlyIf: '5', note };
  expect(editDropIn(set, [removal])).toBe('');
  const changed = set.replace('= 5', '= 6');
  expect(editDropIn(changed, [removal])).toBe(changed);
  expect(editDropIn('', [removal])).toBe('');
});
