import { writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { expect, test } from 'vitest';

import type { FixEnvironment } from '../../../src/fix/environment.ts';
import type { FixEvent } from '../../../src/fix/events.ts';
import { fixExitCode } from '../../../src/fix/exit-code.ts';
import { planFixes, type FixPlan } from '../../../src/fix/plan.ts';
import { runFixes, type FixResult, type FixRunOptions } from '../../../src/fix/run.ts';
import { listFixes, undoFixes } from '../../../src/fix/undo.ts';
import type { ReportCause } from '../../../src/model/report.ts';
import { agreeing, cause, fix, measured, report, sysctl } from './fixture.ts';
import { containing } from './matchers.ts';
import { makeSandbox, putFile, removeSandbox, snapshot, type Sandbox } from './sandbox.ts';

const settings = {
  'net.core.netdev_max_backlog': '1000\n',
  'net.core.somaxconn': '128\n',
  'net.core.clamped': '10\n',
  'net.core.refused': '1\n',
  'net.core.stubborn': '1\n',
  'net.ipv4.tcp_rmem': '4096\t131072\t6291456\n',
  'net.ipv4.ip_forward': '0\n',
  'net.ipv4.conf.all.accept_redirects': '1\n',
  'net.ipv4.conf.all.forwarding': '0\n',
  'net.ipv4.conf.default.forwarding': '0\n',
  'net.ipv4.conf.eth0.forwarding': '1\n',
  'net.ipv4.conf.eth1/100.forwarding': '0\n',
} as const;

const backlogFix = fix('raise-backlog', [sysctl('net.core.netdev_max_backlog', '1000', '2000')]);
const somaxconnFix = fix('raise-somaxconn', [sysctl('net.core.somaxconn', '128', '256')]);
const cured = measured(0, 10_000);

async function inSandbox(work: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await makeSandbox(settings);
  try {
    await work(sandbox);
  } finally {
    await removeSandbox(sandbox);
  }
}

async function fixAll(
  { environment }: Sandbox,
  causes: ReportCause[],
  options: Partial<FixRunOptions> = {},
  plan: FixPlan = planFixes(report(causes)),
): Promise<readonly FixResult[]> {
  const run = await runFixes(plan, environment, agreeing(causes, cured, options));
  if (run.status !== 'ok') throw new Error(run.reason);
  return run.value;
}

function sysctls({ directory }: Sandbox): Promise<Record<string, string>> {
  return snapshot(path.join(directory, 'sysctls'));
}

async function live({ environment }: Sandbox, key: keyof typeof settings): Promise<string> {
  const value = await environment.store.read(key, { kind: 'initial' });
  return value.status === 'ok' ? value.value : value.status;
}

function types(events: readonly FixEvent[]): string[] {
  return events.map(({ type }) => type);
}

function warnings(events: readonly FixEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'warning' ? [event.text] : []));
}

test('a fix that helps is kept, listed, and undone to the byte', () =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    const change = fix('buffers', [
      sysctl('net.ipv4.tcp_rmem', '4096 131072 6291456', '4096 131072 9000000'),
    ]);
    const results = await fixAll(sandbox, [cause('c', [change])]);
    expect(results).toMatchObject([{ outcome: 'verified', id: '20261121-230000.1' }]);
    expect(types(sandbox.events)).toEqual(['journalled', 'written', 'measuring', 'judged']);
    expect(await live(sandbox, 'net.ipv4.tcp_rmem')).toBe('4096\t131072\t9000000\n');

    const listing = await listFixes(sandbox.environment);
    expect(listing).toMatchObject({
      status: 'ok',
      value: { fixes: [{ name: 'c/buffers', phase: 'kept', outcome: 'verified' }] },
    });
    const undone = await undoFixes(sandbox.environment, '20261121-230000');
    expect(undone).toMatchObject({ value: [{ complete: true, steps: [{ result: 'restored' }] }] });
    expect(await sysctls(sandbox)).toEqual(original);
    expect(await undoFixes(sandbox.environment, null)).toEqual({ status: 'ok', value: [] });
    expect((await undoFixes(sandbox.environment, 'nonsense')).status).toBe('absent');
  }));

test('a fix that does not help is rolled back, and the next alternative is tried', () =>
  inSandbox(async (sandbox) => {
    const after = [measured(1000, 10_000), cured];
    const results = await fixAll(sandbox, [cause('c', [backlogFix, somaxconnFix, backlogFix])], {
      measure: async () => await Promise.resolve(after.shift() ?? cured),
    });
    expect(results.map(({ outcome }) => outcome)).toEqual(['failed', 'verified', 'not-needed']);
    expect(results[0]?.restore?.complete).toBe(true);
    expect(await live(sandbox, 'net.core.netdev_max_backlog')).toBe('1000\n');
    expect(await live(sandbox, 'net.core.somaxconn')).toBe('256\n');
  }));

test('without traffic or a second measurement a fix stays, unverified', () =>
  inSandbox(async (sandbox) => {
    const quiet = await fixAll(sandbox, [cause('c', [backlogFix, somaxconnFix])], {
      measure: async () => await Promise.resolve(measured(0, 0)),
    });
    expect(quiet.map(({ outcome }) => outcome)).toEqual(['unverified', 'not-needed']);
    const broken = await fixAll(sandbox, [cause('d', [somaxconnFix])], {
      measure: async () => await Promise.reject(new Error('capture lost')),
    });
    expect(broken).toMatchObject([{ outcome: 'unverified', reason: containing('lost') }]);
    expect(await live(sandbox, 'net.core.somaxconn')).toBe('256\n');
  }));

test('a cause that an earlier fix cured as well needs none of its own', () =>
  inSandbox(async (sandbox) => {
    const causes = [cause('c', [backlogFix]), cause('d', [somaxconnFix])];
    const results = await fixAll(sandbox, causes);
    expect(results.map(({ outcome }) => outcome)).toEqual(['verified', 'not-needed']);
    expect(await live(sandbox, 'net.core.somaxconn')).toBe('128\n');
  }));

test('nothing is written when the user says no', () =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    const previews: string[] = [];
    const results = await fixAll(sandbox, [cause('c', [backlogFix])], {
      confirm: async ({ steps }) => {
        previews.push(...steps.map(({ undoCommand }) => undoCommand));
        return await Promise.resolve(false);
      },
    });
    expect(results).toMatchObject([{ outcome: 'declined' }]);
    expect(previews).toEqual(['sysctl -w net.core.netdev_max_backlog=1000']);
    expect(await sysctls(sandbox)).toEqual(original);
    expect(Object.keys(await snapshot(sandbox.environment.stateDirectory))).toEqual(['lock']);
  }));

test('a value that is no longer the one seen refuses the fix, before the question', () =>
  inSandbox(async (sandbox) => {
    const asked: unknown[] = [];
    const confirm: FixRunOptions['confirm'] = async (preview) => {
      asked.push(preview);
      return await Promise.resolve(true);
    };
    const stale = fix('f', [sysctl('net.core.somaxconn', '100', '256')]);
    const done = fix('g', [sysctl('net.core.somaxconn', '64', '128')]);
    const absent = fix('h', [sysctl('net.core.nonexistent', '64', '128')]);
    const results = await fixAll(sandbox, [cause('c', [stale, done, absent])], { confirm });
    expect(asked).toEqual([]);
    expect(results.map(({ reason }) => reason)).toEqual([
      'net.core.somaxconn is 128 now, no longer 100: measure again',
      'net.core.somaxconn is 128 already',
      'net.core.nonexistent: no such setting here',
    ]);
  }));

test('the value changes between the question and the write: somebody else wins', () =>
  inSandbox(async (sandbox) => {
    const results = await fixAll(sandbox, [cause('c', [backlogFix])], {
      confirm: async () => {
        await sandbox.environment.store.write(
          'net.core.netdev_max_backlog',
          { kind: 'initial' },
          '5000',
        );
        return true;
      },
    });
    expect(results).toMatchObject([{ outcome: 'refused' }]);
    expect(await live(sandbox, 'net.core.netdev_max_backlog')).toBe('5000\n');
  }));

test('the value changes between the journal and the write: somebody else wins as well', () =>
  inSandbox(async (sandbox) => {
    const { environment, directory } = sandbox;
    const file = path.join(directory, 'sysctls/initial/proc/sys/net/core/netdev_max_backlog');
    const racing: FixEnvironment = {
      ...environment,
      checkpoint: (name) => {
        if (name === 'journalled') writeFileSync(file, '5000\n');
      },
    };
    const results = await fixAll({ ...sandbox, environment: racing }, [cause('c', [backlogFix])]);
    expect(results).toMatchObject([{ outcome: 'refused', reason: containing('is 5000 now') }]);
    expect(await live(sandbox, 'net.core.netdev_max_backlog')).toBe('5000\n');
  }));

test.each([
  ['net.core.refused', '2', 'the kernel refuses'],
  ['net.core.stubborn', '2', 'the kernel left net.core.stubborn at 1'],
] as const)('a second step that fails (%s) takes the first one back', (key, to, why) =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    const both = fix('f', [sysctl('net.core.somaxconn', '128', '256'), sysctl(key, '1', to)]);
    const results = await fixAll(sandbox, [cause('c', [both])]);
    expect(results).toMatchObject([{ outcome: 'failed', reason: containing(why) }]);
    expect(await sysctls(sandbox)).toEqual(original);
    const [alone] = await fixAll(sandbox, [
      cause('c', [fix('f', [sysctl('net.core.refused', '1', '2')])]),
    ]);
    expect(alone?.outcome).toBe('refused');
  }),
);

test('the kernel makes another value of it: said, kept, and undone all the same', () =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    const clamped = fix('f', [sysctl('net.core.clamped', '10', '500')]);
    await fixAll(sandbox, [cause('c', [clamped])]);
    const written = sandbox.events.find((event) => event.type === 'written');
    expect(written).toMatchObject({ to: '500', became: '100', adjusted: true });
    await undoFixes(sandbox.environment, null);
    expect(await sysctls(sandbox)).toEqual(original);
  }));

test('what the kernel changes along is put back, except where somebody changed it since', () =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    const forward = cause('c', [fix('f', [sysctl('net.ipv4.ip_forward', '0', '1')])]);
    await fixAll(sandbox, [forward]);
    const written = sandbox.events.find((event) => event.type === 'written');
    expect(written).toMatchObject({
      alsoChanged: [
        { key: 'net.ipv4.conf.all.forwarding', from: '0', to: '1' },
        { key: 'net.ipv4.conf.default.forwarding', from: '0', to: '1' },
        { key: 'net.ipv4.conf.eth1/100.forwarding', from: '0', to: '1' },
        { key: 'net.ipv4.conf.all.accept_redirects', from: '1', to: '0' },
      ],
    });
    await undoFixes(sandbox.environment, null);
    expect(await sysctls(sandbox)).toEqual(original);

    await fixAll(sandbox, [forward]);
    const key = 'net.ipv4.conf.eth0.forwarding';
    await sandbox.environment.store.write(key, { kind: 'initial' }, '0');
    await undoFixes(sandbox.environment, null);
    expect(await live(sandbox, key)).toBe('0\n');
  }));

test('undo leaves what somebody else set since, unless forced', () =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    await fixAll(sandbox, [cause('c', [backlogFix])]);
    const key = 'net.core.netdev_max_backlog';
    await sandbox.environment.store.write(key, { kind: 'initial' }, '7777');
    const refused = await undoFixes(sandbox.environment, null);
    expect(refused).toMatchObject({
      value: [
        {
          complete: false,
          steps: [{ result: 'changed-since', reason: containing('is 7777 now') }],
        },
      ],
    });
    expect(await live(sandbox, key)).toBe('7777\n');
    await undoFixes(sandbox.environment, null, true);
    expect(await sysctls(sandbox)).toEqual(original);
  }));

test('two fixes of one key come off in reverse order; the older alone says which to undo first', () =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    await fixAll(sandbox, [cause('c', [backlogFix])]);
    const more = fix('more', [sysctl('net.core.netdev_max_backlog', '2000', '4000')]);
    await fixAll(sandbox, [cause('c', [more])]);
    expect(await undoFixes(sandbox.environment, '20261121-230000')).toMatchObject({
      value: [{ complete: false, undoFirst: '20261121-230000-2.1' }],
    });
    expect(await undoFixes(sandbox.environment, null)).toMatchObject({
      value: [{ complete: true }, { complete: true }],
    });
    expect(await sysctls(sandbox)).toEqual(original);
  }));

test('a namespace or setting that is gone needs no undo', () =>
  inSandbox(async (sandbox) => {
    const inB = path.join(sandbox.directory, 'sysctls/b');
    await putFile(path.join(inB, 'proc/sys/net/core/somaxconn'), '128\n');
    await fixAll(sandbox, [cause('c', [somaxconnFix], { scope: { netns: 'b' } })], {
      persist: true,
    });
    expect((await sysctls(sandbox))['b/proc/sys/net/core/somaxconn']).toBe('256\n');
    expect(warnings(sandbox.events)).toEqual([
      expect.stringContaining('no file in /etc/sysctl.d reaches'),
    ]);
    await rm(inB, { recursive: true });
    expect(await undoFixes(sandbox.environment, null)).toMatchObject({
      value: [{ complete: true, steps: [{ result: 'gone' }] }],
    });
  }));

test('an undo that cannot reach the setting stays listed, blocks nothing, and is let go when forced', () =>
  inSandbox(async (sandbox) => {
    const { directory, environment } = sandbox;
    await putFile(path.join(directory, 'sysctls/b/proc/sys/net/core/somaxconn'), '128\n');
    await fixAll(sandbox, [cause('c', [somaxconnFix], { scope: { netns: 'b' } })]);
    const blind: FixEnvironment = {
      ...environment,
      store: {
        ...environment.store,
        read: async () => await Promise.resolve({ status: 'denied', reason: 'out of reach' }),
      },
    };
    expect(await undoFixes(blind, null)).toMatchObject({
      value: [{ complete: false, steps: [{ result: 'failed', reason: 'out of reach' }] }],
    });
    expect(await listFixes(environment)).toMatchObject({ value: { fixes: [{ phase: 'kept' }] } });
    expect(await fixAll(sandbox, [cause('d', [backlogFix])])).toMatchObject([
      { outcome: 'verified' },
    ]);
    expect(await undoFixes(blind, '20261121-230000.1', true)).toMatchObject({
      value: [{ complete: true, steps: [{ result: 'gone' }] }],
    });
  }));

test('--persist writes our file, undo takes only our lines out, and another fix of the key inherits', () =>
  inSandbox(async (sandbox) => {
    const file = path.join(sandbox.environment.root, 'etc/sysctl.d/90-whydrop.conf');
    await putFile(file, '# mine\nnet.core.optmem_max = 1\n');
    await putFile(
      path.join(sandbox.environment.root, 'etc/sysctl.d/99-site.conf'),
      'net/core/netdev_max_backlog=300\n',
    );
    await fixAll(sandbox, [cause('c', [backlogFix])], { persist: true });
    expect(warnings(sandbox.events)).toEqual([
      expect.stringContaining('99-site.conf line 1 sets net.core.netdev_max_backlog to 300 later'),
    ]);
    const text = await readFile(file, 'utf8');
    expect(text).toContain('# mine\nnet.core.optmem_max = 1\n');
    expect(text).toContain(
      '# whydrop 20261121-230000.1: c/raise-backlog\nnet.core.netdev_max_backlog = 2000\n',
    );

    const more = fix('more', [sysctl('net.core.netdev_max_backlog', '2000', '4000')]);
    await fixAll(sandbox, [cause('c', [more])], { persist: true });
    expect(await readFile(file, 'utf8')).toContain('backlog = 4000');
    await undoFixes(sandbox.environment, '20261121-230000-2');
    expect(await readFile(file, 'utf8')).toBe(text);
    await undoFixes(sandbox.environment, null);
    expect(await readFile(file, 'utf8')).toMatch(
      /^# Written[^\n]*\n# Take[^\n]*\n# mine\nnet.core.optmem_max = 1\n$/,
    );
  }));

test('interrupted while measuring: rolled back, and nothing else is tried', () =>
  inSandbox(async (sandbox) => {
    const original = await sysctls(sandbox);
    const controller = new AbortController();
    const results = await fixAll(sandbox, [cause('c', [backlogFix]), cause('d', [somaxconnFix])], {
      signal: controller.signal,
      measure: async () => {
        controller.abort();
        return await Promise.resolve(cured);
      },
    });
    expect(results).toMatchObject([{ outcome: 'failed', restore: { complete: true } }]);
    expect(await sysctls(sandbox)).toEqual(original);
  }));

test('exit codes', async () => {
  const result = (outcome: FixResult['outcome']): FixResult => {
    const [planned] = planFixes(report([cause('c', [backlogFix])])).apply;
    if (planned === undefined) throw new Error('no plan');
    return { fix: planned, outcome, reason: '' };
  };
  const code = (...outcomes: FixResult['outcome'][]): number =>
    fixExitCode({ status: 'ok', value: outcomes.map(result) });
  expect(code('verified', 'not-needed', 'declined')).toBe(0);
  expect(code('verified', 'unverified')).toBe(1);
  expect(code('verified', 'unverified', 'refused', 'failed')).toBe(2);
  expect(code('unverified', 'refused')).toBe(3);
  expect([code(), code('declined'), fixExitCode({ status: 'denied', reason: '' })]).toEqual([
    3, 3, 3,
  ]);
  await inSandbox(async ({ environment }) => {
    const plan = planFixes(report([cause('c', [backlogFix])], true));
    const run = await runFixes(plan, environment, agreeing([], cured));
    expect([run.status, fixExitCode(run)]).toEqual(['not-applicable', 3]);
  });
});
