import { expect, test } from 'vitest';

import sysctl, { Sysctl } from '../../../checks/sysctl.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';

async function readFrom(options: FakeHostOptions) {
  const reading = await sysctl.read(fakeHost(options), { phase: 'last', interfaces: [] });
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return reading;
}

const initial = {
  files: {
    '/proc/sys/net/core/netdev_max_backlog': '1000\n',
    '/proc/sys/net/core/rmem_max': '212992\n',
    '/proc/sys/net/ipv4/udp_mem': '575802\t767738\t1151604\n',
    '/proc/sys/net/ipv4/ip_forward': '0\n',
  },
};
const container = {
  '/proc/sys/net/core/rmem_max': '1\n',
  '/proc/sys/net/ipv4/ip_forward': '1\n',
  '/proc/sys/net/ipv4/conf/all/rp_filter': '2\n',
  '/proc/sys/net/ipv4/conf/default/rp_filter': '0\n',
  '/proc/sys/net/ipv4/conf/eth0.100/rp_filter': '1\n',
  '/proc/sys/net/ipv6/conf/eth0.100/disable_ipv6': '1\n',
  '/sys/class/net/eth0.100/ifindex': '2\n',
  '/sys/class/net/eth0.100/queues/rx-0/rps_cpus': '00,00000003\n',
  '/sys/class/net/eth0.100/queues/rx-1/rps_cpus': '00,00000000\n',
  '/sys/class/net/eth0.100/queues/tx-0/xps_cpus': '3\n',
  '/sys/class/net/bonding_masters': 'bond0\n',
};

test('takes settings of the machine from the initial namespace, the others from this one', async () => {
  const { value, notes } = await readFrom({ files: container, initial });
  expect(notes).toBeUndefined();
  expect(value.number('net.core.netdev_max_backlog')).toBe(1000);
  expect(value.number('net.core.rmem_max')).toBe(212_992);
  expect(value.number('net.ipv4.ip_forward')).toBe(1);
  expect(value.numbers('net.ipv4.udp_mem')).toEqual([575_802, 767_738, 1_151_604]);
});

test('reads the settings of every interface, all and default', async () => {
  const { value } = await readFrom({ files: container, initial });
  expect(value.text('net.ipv4.conf.eth0/100.rp_filter')).toBe('1');
  expect(value.forInterface('net.ipv4.conf', 'eth0.100', 'rp_filter')).toBe(1);
  expect(value.forInterface('net.ipv4.conf', 'all', 'rp_filter')).toBe(2);
  expect(value.forInterface('net.ipv6.conf', 'eth0.100', 'disable_ipv6')).toBe(1);
  expect(value.forInterface('net.ipv4.conf', 'eth1', 'rp_filter')).toBeUndefined();
});

test('keeps RPS masks that are set', async () => {
  const { value } = await readFrom({ files: container, initial });
  expect(value.rpsMasks).toEqual(new Map([['eth0.100', new Map([['rx-0', '00,00000003']])]]));
});

test('leaves out interfaces whose name would be a pattern in a key, and says so', async () => {
  const { value, notes } = await readFrom({
    files: {
      ...container,
      '/sys/class/net/*/ifindex': '3\n',
      '/proc/sys/net/ipv4/conf/*/rp_filter': '1\n',
    },
    initial,
  });
  expect([...value.values.keys()].filter((key) => key.includes('*'))).toEqual([]);
  expect(notes).toEqual([expect.stringContaining('whose name no sysctl key can hold: 1.')]);
});

test('says that a container cannot see the settings of the machine', async () => {
  const { notes } = await readFrom({ files: container });
  expect(notes).toEqual([expect.stringContaining('cannot be seen from this network namespace')]);
});

test('settings of interfaces are read at the end of the window only', async () => {
  const host = fakeHost({
    files: {
      '/proc/sys/net/core/rmem_max': '1\n',
      '/sys/class/net/eth0/ifindex': '2\n',
      '/proc/sys/net/ipv4/conf/eth0/rp_filter': '1\n',
    },
  });
  const keysAt = async (phase: 'first' | 'last') => {
    const reading = await sysctl.read(host, { phase, interfaces: [] });
    return reading.status === 'ok' ? [...reading.value.values.keys()] : [];
  };
  expect(await keysAt('first')).toEqual(['net.core.rmem_max']);
  expect(await keysAt('last')).toContain('net.ipv4.conf.eth0.rp_filter');
});

test('nothing readable is no reading', async () => {
  const reading = await sysctl.read(fakeHost({}), { phase: 'last', interfaces: [] });
  expect(reading.status).toBe('absent');
});

test('numbers are numbers or undefined', () => {
  const settings = new Sysctl(
    new Map([
      ['net.core.default_qdisc', 'fq_codel'],
      ['net.ipv4.tcp_rmem', '4096 131072 6291456'],
      ['net.ipv4.x', '-1'],
      ['net.ipv4.empty', ''],
      ['net.ipv4.huge', '99999999999999999999'],
    ]),
  );
  expect(settings.number('net.core.default_qdisc')).toBeUndefined();
  expect(settings.number('net.ipv4.tcp_rmem')).toBeUndefined();
  expect(settings.number('net.ipv4.x')).toBe(-1);
  expect(settings.number('net.ipv4.empty')).toBeUndefined();
  expect(settings.number('net.ipv4.huge')).toBeUndefined();
  expect(settings.number('net.ipv4.missing')).toBeUndefined();
});
