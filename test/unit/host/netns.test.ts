import { execFileSync } from 'node:child_process';
import process from 'node:process';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openLiveHost } from '../../../src/host/index.ts';
import type { Host } from '../../../src/model/host.ts';

test.each([
  ['no-such-namespace', 'absent', /no network namespace named no-such-namespace/],
  ['4194305', 'absent', /no process 4194305/],
  ['/etc/hostname', 'malformed', /not a network namespace/],
  ['/tmp', 'malformed', /not a network namespace/],
  ['/nowhere/at/all', 'absent', /no file/],
  ['..', 'malformed', /not the name/],
  ['', 'malformed', /not the name/],
  ['a\u001bb', 'malformed', /control characters/],
  ['a\0b', 'malformed', /control characters/],
])('--netns %j cannot be looked at', async (netns, status, reason) => {
  expect(await openLiveHost({ netns })).toEqual({
    status,
    reason: expect.stringMatching(reason) as string,
  });
});

test('our own namespace, named by process, is read directly', async () => {
  const named = await opened(String(process.pid));
  const own = await opened(null);
  expect(await named.list('/sys/class/net')).toEqual(await own.list('/sys/class/net'));
  expect(named.initial === named).toBe(own.initial === own);
  await Promise.all([named.close(), own.close()]);
});

test('wait ends early, and without an error, when it is aborted', async () => {
  const host = await opened(null);
  const from = host.now();
  await host.wait(3_600_000, AbortSignal.abort());
  await host.wait(-1);
  expect(host.now() - from).toBeLessThan(3_600_000);
});

describe.skipIf(process.geteuid?.() !== 0)('another namespace', () => {
  const netns = `whydrop-host-${process.pid}`;
  let host: Host;

  beforeAll(async () => {
    ip('netns', 'add', netns);
    ip('-n', netns, 'link', 'add', 'hs0', 'type', 'veth', 'peer', 'name', 'hs1');
    inside('sysctl', '-qw', 'net.ipv4.conf.hs0.rp_filter=2', 'net.ipv4.ip_forward=1');
    host = await opened(netns);
  });

  afterAll(async () => {
    await host.close();
    ip('netns', 'del', netns);
  });

  test('shows its devices in /sys, /proc/net and ip', async () => {
    const devices = ['hs0', 'hs1', 'lo'];
    expect(await host.list('/sys/class/net')).toEqual({ status: 'ok', value: devices });

    const table = await host.readFile('/proc/net/dev');
    const named = table.status === 'ok' ? table.value.matchAll(/^ *(\w+):/gm) : [];
    expect([...named].map(([, name = '']) => name).sort()).toEqual(devices);

    const links = await host.run(['ip', '-j', 'link']);
    const json = links.status === 'ok' ? links.value.stdout : '[]';
    expect((JSON.parse(json) as { ifname: string }[]).map(({ ifname }) => ifname).sort()).toEqual(
      devices,
    );
  });

  test('follows the links of /sys/class/net', async () => {
    const own = inside('cat', '/sys/class/net/hs0/address');
    expect(await host.readFile('/sys/class/net/hs0/address')).toEqual({ status: 'ok', value: own });
    expect(await host.readFile('/sys/class/net/none/address')).toEqual({
      status: 'absent',
      reason: '/sys/class/net/none/address: no such file',
    });
  });

  test('shows its sysctls, mixed with other files, in the order asked', async () => {
    const readings = await host.readFiles([
      '/proc/sys/net/ipv4/conf/hs0/rp_filter',
      '/proc/sys/kernel/ostype',
      '/proc/sys/net/ipv4/conf/none/rp_filter',
      '/proc/sys/net/ipv4/route/flush',
      '/sys/class/net/hs0/mtu',
      '/proc/sys/net/ipv4/ip_forward',
      '/proc/sys/net/ipv4/conf/hs0/rp_filter',
    ]);
    expect(
      readings.map((reading) => (reading.status === 'ok' ? reading.value : reading.status)),
    ).toEqual(['2\n', 'Linux\n', 'absent', 'denied', '1500\n', '1\n', '2\n']);
    expect(await host.list('/proc/sys/net/ipv4/conf')).toEqual({
      status: 'ok',
      value: ['all', 'default', 'hs0', 'hs1', 'lo'],
    });
    expect(await host.list('/proc/sys/net/none')).toMatchObject({ status: 'absent' });
  });

  test('its initial view is another one, with what only the initial namespace has', async () => {
    const backlog = '/proc/sys/net/core/netdev_max_backlog';
    expect(host.initial).not.toBe(host);
    expect((await host.readFile(backlog)).status).toBe('absent');
    expect((await host.initial.readFile(backlog)).status).toBe('ok');
  });

  test('a missing program is absent, and exit codes pass through', async () => {
    expect(await host.run(['no-such-program-here'])).toMatchObject({ status: 'absent' });
    expect(await host.run(['false'])).toMatchObject({ status: 'ok', value: { exitCode: 1 } });
  });

  test('lives on when its name is removed; ends when closed, twice if need be', async () => {
    const shortLived = `${netns}-b`;
    ip('netns', 'add', shortLived);
    const doomed = await opened(shortLived);
    ip('netns', 'del', shortLived);
    expect(await doomed.list('/sys/class/net')).toEqual({ status: 'ok', value: ['lo'] });
    await doomed.close();
    await doomed.close();
    expect((await doomed.list('/sys/class/net')).status).toBe('absent');
    expect((await doomed.run(['ip', 'link'])).status).toBe('absent');
    expect((await doomed.readFile('/proc/sys/net/ipv4/ip_forward')).status).toBe('absent');
  });

  test('another kind of namespace is refused', async () => {
    expect((await openLiveHost({ netns: '/proc/self/ns/mnt' })).status).toBe('malformed');
  });

  function inside(...argv: string[]): string {
    return execFileSync('ip', ['netns', 'exec', netns, ...argv], { encoding: 'utf8' });
  }
});

function ip(...argv: string[]): void {
  execFileSync('ip', argv);
}

async function opened(netns: string | null): Promise<Host> {
  const host = await openLiveHost({ netns });
  if (host.status !== 'ok') throw new Error(host.reason);
  return host.value;
}
