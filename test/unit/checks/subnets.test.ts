import { expect, test } from 'vitest';
import subnets from '../../../checks/subnets.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';

const command = 'ip -4 -j route show table main proto kernel scope link';
const routes = JSON.stringify([
  { dst: '10.0.0.0/24', dev: 'eth0', prefsrc: '10.0.0.2' },
  { dst: '10.0.0.0/24', dev: 'eth0', prefsrc: '10.0.0.3' },
  { dst: '10.0.0.0/24', dev: 'eth1.5', prefsrc: '10.0.0.4' },
  { dst: '10.1.0.0/24', dev: 'eth2' },
  { dev: 'eth3' },
]);
const conf = '/proc/sys/net/ipv4/conf';

function read(options: FakeHostOptions) {
  return subnets.read(fakeHost(options), { phase: 'first', interfaces: [] });
}

test('networks of several interfaces, with the settings in force', async () => {
  const reading = await read({
    commands: { [command]: routes },
    files: {
      [`${conf}/all/arp_announce`]: '2\n',
      [`${conf}/eth1.5/arp_ignore`]: '1\n',
      [`${conf}/eth0/arp_filter`]: 'x\n',
    },
  });
  expect(reading).toEqual({
    status: 'ok',
    value: {
      shared: [
        {
          network: '10.0.0.0/24',
          interfaces: new Map([
            ['eth0', { arp_ignore: 0, arp_announce: 2, arp_filter: 0 }],
            ['eth1.5', { arp_ignore: 1, arp_announce: 2, arp_filter: 0 }],
          ]),
        },
      ],
    },
  });
});

test('one look is enough; without iproute2 nothing is said', async () => {
  const first = { shared: [] };
  const again = await subnets.read(fakeHost({}), { phase: 'last', interfaces: [], first });
  expect(again).toEqual({ status: 'ok', value: first });
  expect(await read({})).toMatchObject({ status: 'absent' });
  expect(await read({ commands: { [command]: '{' } })).toMatchObject({ status: 'malformed' });
});
