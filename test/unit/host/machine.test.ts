import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import process from 'node:process';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openLiveHost } from '../../../src/host/index.ts';
import { openMachine } from '../../../src/host/machine.ts';
import type { Host, Machine } from '../../../src/model/host.ts';

describe.skipIf(process.geteuid?.() !== 0)('all namespaces of the machine', () => {
  const netns = `whydrop-machine-${process.pid}`;
  let machine: Machine;
  let alone: Host;
  let visited: Host;

  beforeAll(async () => {
    ip('netns', 'add', netns);
    ip('-n', netns, 'link', 'add', 'ms0', 'type', 'veth', 'peer', 'name', 'ms1');
    ip('netns', 'exec', netns, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    const [opened, named] = await Promise.all([openMachine('none'), openLiveHost({ netns })]);
    if (opened.status !== 'ok') throw new Error(opened.reason);
    if (named.status !== 'ok') throw new Error(named.reason);
    machine = opened.value;
    alone = named.value;
    const site = machine.others.find(({ name }) => name === netns);
    if (site === undefined) throw new Error(`${netns} was not found`);
    visited = site.host;
  });

  afterAll(async () => {
    await Promise.all([machine.close(), alone.close()]);
    ip('netns', 'del', netns);
  });

  test('finds each once, the initial one first', () => {
    const inodes = [machine.initial, ...machine.others].map(({ host }) => host.facts.netnsInode);
    expect(new Set(inodes).size).toBe(inodes.length);
    expect(machine.initial).toMatchObject({ name: null, host: { facts: { netns: null } } });
    expect(machine.initial.host.initial).toBe(machine.initial.host);
    expect(visited.facts).toMatchObject({ netns, netnsInode: statSync(`/run/netns/${netns}`).ino });
  });

  test.each([
    '/sys/class/net',
    '/proc/sys/net/ipv4/conf',
    '/proc/net',
    '/sys/class/net/ms0/queues',
  ])('lists %s as a helper process there does', async (directory) => {
    const listed = await visited.list(directory);
    expect(listed).toEqual(await alone.list(directory));
    expect(listed.status).toBe('ok');
  });

  test('reads as a helper process there does, and what is not there is absent', async () => {
    const paths = [
      '/proc/net/dev',
      '/proc/sys/net/ipv4/ip_forward',
      '/sys/class/net/ms0/mtu',
      '/proc/net/none',
      '/proc/sys/net/ipv4/none',
      '/sys/class/net/eth0/mtu',
      '/proc/cmdline',
      '/etc/os-release',
    ];
    const readings = await visited.readFiles(paths);
    const statuses = ['ok', 'ok', 'ok', 'absent', 'absent', 'absent', 'ok', 'ok'];
    expect(readings.map(({ status }) => status)).toEqual(statuses);
    expect(readings).toEqual(await alone.readFiles(paths));
    expect(readings[1]).toMatchObject({ value: '1\n' });
  });

  test('programs run there, and we are back', async () => {
    const links = await visited.run(['ip', '-br', 'link']);
    expect(links).toEqual(await alone.run(['ip', '-br', 'link']));
    expect(links).toMatchObject({ value: { stdout: expect.stringContaining('ms0') as string } });
    expect(readFileSync('/proc/thread-self/net/dev', 'utf8')).not.toContain('ms0');
  });
});

function ip(...args: readonly string[]): void {
  execFileSync('ip', args);
}
