import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { FixEnvironment } from '../../../src/fix/environment.ts';
import { liveStore } from '../../../src/fix/live-store.ts';
import { locateNetns, type NetnsTarget } from '../../../src/fix/netns-target.ts';
import { planFixes } from '../../../src/fix/plan.ts';
import { runFixes, type FixResult } from '../../../src/fix/run.ts';
import { oneLine } from '../../../src/fix/sysctl-value.ts';
import { undoFixes } from '../../../src/fix/undo.ts';
import type { ReportStep } from '../../../src/model/report.ts';
import { agreeing, cause, fix, measured, report, sysctl } from './fixture.ts';
import { makeSandbox, removeSandbox, type Sandbox } from './sandbox.ts';

const run = promisify(execFile);
const netns = `wdfix-${process.pid}`;

/** Real settings of a real kernel, in a namespace of our own. */
describe.skipIf(process.geteuid?.() !== 0)('a network namespace (needs root)', () => {
  let box: Sandbox;
  let environment: FixEnvironment;

  beforeAll(async () => {
    box = await makeSandbox({});
    environment = { ...box.environment, store: liveStore };
    await makeNamespace();
  });
  afterAll(async () => {
    await run('ip', ['netns', 'del', netns]);
    await removeSandbox(box);
  });

  async function apply(...steps: ReportStep[]): Promise<readonly FixResult[]> {
    const causes = [cause('c', [fix('f', steps)], { scope: { netns } })];
    const options = agreeing(causes, measured(0, 10_000));
    const results = await runFixes(planFixes(report(causes)), environment, options);
    if (results.status !== 'ok') throw new Error(results.reason);
    return results.value;
  }

  test('a list with tabs, an interface with a dot, and all that ip_forward changes: back to the byte', async () => {
    const before = await settings();
    const results = await apply(
      sysctl('net.ipv4.tcp_rmem', oneLine(await live('net.ipv4.tcp_rmem')), '4096 131072 7000000'),
      sysctl('net.ipv4.conf.wd0/7.rp_filter', '0', '2'),
      sysctl('net.ipv4.ip_forward', '0', '1'),
    );
    expect(results).toMatchObject([{ outcome: 'verified' }]);
    const during = await settings();
    expect(during).toContain('/proc/sys/net/ipv4/tcp_rmem:4096\t131072\t7000000\n');
    expect(during).toContain('/proc/sys/net/ipv4/conf/wd0.7/rp_filter:2\n');
    expect(during).toContain('/proc/sys/net/ipv4/conf/lo/forwarding:1\n');
    expect(await undoFixes(environment, null)).toMatchObject({ value: [{ complete: true }] });
    expect(await settings()).toBe(before);
  });

  test('the default value spreads to interfaces, and comes back from them', async () => {
    const before = await settings();
    await apply(sysctl('net.ipv4.conf.default.log_martians', '0', '1'));
    expect(await settings()).toContain('/proc/sys/net/ipv4/conf/lo/log_martians:1\n');
    await undoFixes(environment, null);
    expect(await settings()).toBe(before);
  });

  test('the inode number alone does not make it the same namespace: the kernel uses it again', async () => {
    const key = 'net.ipv4.conf.lo.rp_filter';
    const target = await here();
    const statuses = [target, { ...target, mark: 'made:1' }, { ...target, bootId: 'another' }].map(
      async (target) => (await liveStore.read(key, target)).status,
    );
    expect(await Promise.all(statuses)).toEqual(['ok', 'absent', 'absent']);
  });

  test('a value the kernel refuses changes nothing', async () => {
    const before = await settings();
    const from = oneLine(await live('net.ipv4.tcp_rmem'));
    const [result] = await apply(sysctl('net.ipv4.tcp_rmem', from, '0 0 0'));
    expect(result).toMatchObject({
      outcome: 'refused',
      reason: 'net.ipv4.tcp_rmem: the kernel refuses this value',
    });
    expect(await settings()).toBe(before);
    // The kernel takes the first number and refuses the second.
    const [half] = await apply(sysctl('net.ipv4.tcp_rmem', from, '5000 0 0'));
    expect(half).toMatchObject({ outcome: 'failed', restore: { complete: true } });
    expect(await settings()).toBe(before);
  });

  test('another namespace of the same name is not the one that was changed', async () => {
    await apply(sysctl('net.ipv4.conf.lo.rp_filter', '0', '2'));
    await run('ip', ['netns', 'del', netns]);
    await makeNamespace();
    await liveStore.write('net.ipv4.conf.lo.rp_filter', await here(), '2');
    expect(await undoFixes(environment, null)).toMatchObject({
      value: [
        {
          complete: true,
          steps: [{ result: 'gone', reason: `network namespace ${netns} is gone` }],
        },
      ],
    });
    expect(await settings()).toContain('/proc/sys/net/ipv4/conf/lo/rp_filter:2\n');
  });
});

async function makeNamespace(): Promise<void> {
  await run('ip', ['netns', 'add', netns]);
  // A dot in the name, and forwarding of its own, which writing ip_forward twice would lose.
  await run('ip', ['-n', netns, 'link', 'add', 'wd0.7', 'type', 'veth', 'peer', 'name', 'wd1']);
  await liveStore.write('net.ipv4.conf.wd1.forwarding', await here(), '1');
}

async function here(): Promise<NetnsTarget> {
  const target = await locateNetns(netns);
  if (target.status !== 'ok') throw new Error(target.reason);
  return target.value;
}

async function live(key: string): Promise<string> {
  const value = await liveStore.read(key, await here());
  if (value.status !== 'ok') throw new Error(value.reason);
  return value.value;
}

async function settings(): Promise<string> {
  const places = ['tcp_rmem', 'ip_forward', 'conf'].map((name) => `/proc/sys/net/ipv4/${name}`);
  const grep = [`--net=/run/netns/${netns}`, '--', 'grep', '-r', ''];
  return (await run('nsenter', [...grep, ...places])).stdout;
}
