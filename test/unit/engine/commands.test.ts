import { expect, test } from 'vitest';
import { withCommand } from '../../../src/engine/commands.ts';
import type { FixStep } from '../../../src/model/fix.ts';
import { sysctlStep } from '../../../src/model/sysctl-step.ts';

const own = sysctlStep('net.ipv4.conf.vb.rp_filter', 1, 2);
const hostWide = sysctlStep('net.core.netdev_max_backlog', 1000, 2000);
const ring: FixStep = { kind: 'ethtool', interface: 'eth0', setting: 'rx', from: '256', to: '512' };
const modprobe: FixStep = { kind: 'command', argv: ['modprobe', 'mpls_router'], why: 'loads it' };

test.each([
  [null, ''],
  ['blue', 'ip netns exec blue '],
  ['4711', 'nsenter -t 4711 -n '],
  ['/proc/4711/ns/net', 'nsenter --net=/proc/4711/ns/net '],
  ['run/netns/x', 'nsenter --net=run/netns/x '],
  ['my net', "ip netns exec 'my net' "],
])('namespace %s: entered with %j', (netns, prefix) => {
  expect(withCommand(own, netns).command).toBe(`${prefix}sysctl -w net.ipv4.conf.vb.rp_filter=2`);
  expect(withCommand(ring, netns).command).toBe(`${prefix}ethtool -G eth0 rx 512`);
  expect(withCommand(modprobe, netns).command).toBe(`${prefix}modprobe mpls_router`);
});

test('a key of the whole host is not set in a namespace, where it does not exist', () => {
  expect(withCommand(hostWide, 'blue').command).toBe('sysctl -w net.core.netdev_max_backlog=2000');
});

test('names from the machine are quoted', () => {
  const step: FixStep = { ...ring, interface: '$(id);x\u001b[2J' };
  expect(withCommand(step, null).command).toBe(String.raw`ethtool -G $'$(id);x\033[2J' rx 512`);
  const dotted = sysctlStep('net.ipv4.conf.a$b/100.rp_filter', 1, 2);
  expect(withCommand(dotted, null).command).toBe("sysctl -w 'net.ipv4.conf.a$b/100.rp_filter=2'");
});

test('advice has no command, and a step keeps all it had', () => {
  const advice: FixStep = { kind: 'manual', text: 'spread the load' };
  expect(withCommand(advice, 'blue')).toEqual({ ...advice, command: '' });
  expect(withCommand(own, null)).toMatchObject(own);
});
