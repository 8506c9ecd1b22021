import path from 'node:path';

import { expect, test } from 'vitest';

import { planFixes } from '../../../src/fix/plan.ts';
import { previewFix, type FixPreview } from '../../../src/fix/preview.ts';
import { cause, fix, report, sysctl } from './fixture.ts';
import { containing } from './matchers.ts';
import { makeSandbox, putFile, removeSandbox } from './sandbox.ts';

async function preview(netns?: string): Promise<FixPreview> {
  const sandbox = await makeSandbox({ 'net.ipv4.ip_forward': '0\n' });
  try {
    const { directory, environment } = sandbox;
    await putFile(path.join(directory, 'sysctls/b/proc/sys/net/ipv4/ip_forward'), '1\n');
    await putFile(
      path.join(environment.root, 'usr/lib/sysctl.d/50-x.conf'),
      'net.ipv4.ip_forward=0\n',
    );
    const step = sysctl('net.ipv4.ip_forward', '0', '1');
    const found = cause('c', [fix('f', [step])], netns === undefined ? {} : { scope: { netns } });
    const [planned] = planFixes(report([found])).apply;
    if (planned === undefined) throw new Error('no plan');
    return await previewFix(planned, environment, true);
  } finally {
    await removeSandbox(sandbox);
  }
}

test('a preview says what is, what changes along, who sets it at boot, and how to take it back', async () => {
  const { steps, persist } = await preview();
  expect(steps).toEqual([
    {
      key: 'net.ipv4.ip_forward',
      where: 'this host',
      current: { status: 'ok', value: '0' },
      to: '1',
      alsoChanges: ['net.ipv4.conf.*.forwarding', 'net.ipv4.conf.all.accept_redirects'],
      boot: {
        setBy: [
          { file: containing('50-x.conf'), line: 1, pattern: 'net.ipv4.ip_forward', value: '0' },
        ],
        winner: {
          file: containing('50-x.conf'),
          line: 1,
          pattern: 'net.ipv4.ip_forward',
          value: '0',
        },
      },
      undoCommand: 'sysctl -w net.ipv4.ip_forward=0',
    },
  ]);
  expect(persist).toEqual({ file: containing('90-whydrop.conf'), warnings: [] });
});

test('in another namespace: no file reaches there, and a value that does not fit is a problem', async () => {
  const { steps, persist } = await preview('b');
  expect(steps).toMatchObject([
    {
      where: 'network namespace b',
      problem: 'net.ipv4.ip_forward is 1 already',
      undoCommand: 'ip netns exec b sysctl -w net.ipv4.ip_forward=0',
    },
  ]);
  expect(steps[0]).not.toHaveProperty('boot');
  expect(persist?.warnings).toEqual([containing('no file in /etc/sysctl.d reaches')]);
});
