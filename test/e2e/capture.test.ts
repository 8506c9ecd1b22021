import { mkdtemp, rmdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../src/engine/verdict.ts';
import type { Report } from '../../src/model/report.ts';
import type { SelfCheck } from '../../src/model/self-check.ts';
import { labMissing } from '../lab/requirements.ts';
import { bpfPrograms, bpfUnloaded, tracefsInstances } from './processes.ts';
import { start, whydrop, type Options } from './program.ts';

const missing = await labMissing();
const koffi = fileURLToPath(new URL('../../node_modules/koffi', import.meta.url));
const withoutBpf = 'Without BPF, drops carry no interface, namespace or flow.';

let empty = '';
beforeAll(async () => {
  empty = await mkdtemp(join(tmpdir(), 'whydrop-empty-'));
});
afterAll(() => rmdir(empty));

/** Runs shell lines in a mount namespace, then the program in it. */
const mounted = (...lines: readonly string[]): readonly string[] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  [...lines, 'exec "$@"'].join(' && '),
  'sh',
];
/** CAP_SYS_ADMIN holds CAP_BPF and CAP_PERFMON as well. */
const unprivileged = ['setpriv', '--bounding-set', '-bpf,-perfmon,-sys_admin', '--'];
const withTracefs = 'mount -t tracefs tracefs /sys/kernel/tracing';
const noTracefs =
  'mount -t tmpfs none /sys/kernel/tracing && mount -t tmpfs none /sys/kernel/debug';
const lockedDown =
  'mount -t tmpfs none /sys/kernel/security && echo "none integrity [confidentiality]" > /sys/kernel/security/lockdown';

async function report(
  options: Options,
  args: readonly string[] = [],
): Promise<Pick<Report, 'capture' | 'verdict' | 'checks'>> {
  const ended = await whydrop(['report', '-d', '300ms', '--json', ...args], options);
  expect(ended.stderr).toBe('');
  const result = JSON.parse(ended.stdout) as Report;
  expect(ended.exitCode).toBe(exitCodeOf(result.verdict, 'warning'));
  return result;
}

async function selfCheck(options: Options) {
  const { exitCode, stdout, stderr } = await whydrop(['self-check', '--json'], options);
  const { diagnosis, capabilities } = JSON.parse(stdout) as SelfCheck;
  const missing = capabilities.filter(({ status }) => status === 'missing').map(({ id }) => id);
  return { exitCode, stderr, diagnosis, missing };
}

describe.skipIf(missing !== null)(`capture${missing === null ? '' : ` (${missing})`}`, () => {
  test('auto is BPF; then nothing is made in tracefs, and nothing stays loaded', async () => {
    const child = start(['report', '-d', '1s', '-v', '--json']);
    const { pid = 0 } = child;
    await new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        if (chunk.includes('Watch drops')) resolve();
      });
      child.once('exit', () => resolve());
    });
    const programs = await bpfPrograms(pid);
    const instances = await tracefsInstances();
    const { capture } = JSON.parse((await child).stdout) as Report;
    expect(capture).toMatchObject({ backend: 'bpf', unavailable: [] });
    expect(programs).not.toEqual([]);
    expect(instances.filter((name) => name.startsWith(`whydrop-${pid}-`))).toEqual([]);
    await bpfUnloaded(programs);
  });

  test.each([
    {
      what: 'libbpf',
      hide: () => [
        `for lib in $(ldconfig -p | sed -n 's/.*libbpf\\.so.* => //p'); do mount --bind /dev/null "$(readlink -f "$lib")" || exit 9; done`,
      ],
      says: /^The library libbpf is not installed \(package libbpf1/,
      // ip itself is linked against libbpf.
      lacks: ['libbpf', 'bpf', 'ip', 'tc'],
    },
    {
      what: 'koffi',
      hide: () => [`mount --bind ${empty} ${koffi}`],
      says: /^The optional package koffi, .*: npm install koffi\./,
      lacks: ['koffi', 'libbpf', 'bpf'],
    },
    {
      what: 'the types of the kernel',
      hide: () => [`mount --bind ${empty} /sys/kernel/btf`],
      says: /does not describe its types \(\/sys\/kernel\/btf\/vmlinux/,
      lacks: ['btf', 'bpf'],
    },
    {
      what: 'CAP_BPF',
      hide: () => [withTracefs],
      prefix: unprivileged,
      says: /not permitted, even for root\. In a container, .* give it CAP_BPF and CAP_PERFMON\./,
      lacks: ['netns', 'bpf'],
    },
    {
      what: 'leave of the kernel lockdown',
      hide: () => [withTracefs, lockedDown],
      prefix: unprivileged,
      says: /kernel lockdown is in confidentiality mode/,
      lacks: ['netns', 'bpf'],
    },
  ])('without $what: tracefs, and the reason', async ({ hide, prefix = [], says, lacks }) => {
    const options = { prefix: [...mounted(...hide()), ...prefix] };
    const [{ capture, verdict }, check] = await Promise.all([report(options), selfCheck(options)]);
    expect(capture).toMatchObject({ backend: 'tracefs', unavailable: [{ backend: 'bpf' }] });
    expect(capture.unavailable[0]?.reason).toMatch(says);
    expect(capture.unavailable[0]?.reason).toContain(withoutBpf);
    expect(verdict).not.toBe('unknown');

    expect(check).toMatchObject({ exitCode: 1, stderr: '', diagnosis: 'partial' });
    expect(check.missing).toEqual(expect.arrayContaining(lacks));
  });

  test.each([
    {
      who: 'root in a container without rights',
      options: () => ({ prefix: [...mounted(noTracefs), ...unprivileged] }),
      says: [/CAP_BPF/, /CAP_SYS_ADMIN/],
    },
    {
      who: 'not root',
      options: () => ({ asNobody: true }),
      says: [/by BPF: needs root/, /live: needs root/],
    },
  ])('$who: neither, with both reasons, and no verdict of health', async ({ options, says }) => {
    const [{ capture, verdict, checks }, check] = await Promise.all([
      report(options()),
      selfCheck(options()),
    ]);
    expect(capture).toMatchObject({
      backend: 'none',
      unavailable: [{ backend: 'bpf' }, { backend: 'tracefs' }],
    });
    for (const [index, { reason }] of capture.unavailable.entries()) {
      expect(reason).toMatch(says[index] ?? /never/);
    }
    expect(verdict).not.toBe('ok');
    expect(checks.find(({ id }) => id === 'drops')).toMatchObject({ status: 'denied' });
    expect(check).toMatchObject({ exitCode: 3, stderr: '', diagnosis: 'none' });
  });

  test('BPF asked for by name is not replaced', async () => {
    const options = { prefix: mounted(`mount --bind ${empty} ${koffi}`) };
    const { capture, verdict } = await report(options, ['--capture', 'bpf']);
    expect(capture).toMatchObject({ backend: 'none', unavailable: [{ backend: 'bpf' }] });
    expect(verdict).not.toBe('ok');
  });

  test('a recording keeps why it is not by BPF; a note in the text says it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'whydrop-e2e-'));
    try {
      const file = join(directory, 'host.whydrop');
      const prefix = mounted(`mount --bind ${empty} ${koffi}`);
      await whydrop(['record', '-d', '100ms', '-o', file], { prefix });
      const { stdout } = await whydrop(['report', '--from', file]);
      expect(stdout).toMatch(/drops seen by tracefs[^]*^Notes\n {2}- bpf capture: The optional/m);
      expect(stdout).not.toContain('Could not look\n  - bpf');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

test('self-check for a person', async () => {
  const { stdout, stderr } = await whydrop(['self-check', '--plain']);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^(?:OK|WARNING|UNKNOWN): /);
  expect(stdout).toMatch(/^ {2}(?:ok|missing) +BPF program: /m);
  expect(stdout).toMatch(/^ {2}(?:ok|missing) +nft: /m);
});
