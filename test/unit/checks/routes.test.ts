import { expect, test } from 'vitest';
import { policyRule } from '../../../checks/policy-rules.ts';
import routes, { refusingRoute, refusingRule, type Routes } from '../../../checks/routes.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';

const files = (noRoute: string) => ({
  '/proc/net/snmp': 'Ip: InAddrErrors OutNoRoutes\nIp: 3 4\n',
  '/proc/net/stat/rt_cache': `entries in_no_route\n0000000a ${noRoute}\n0000000a 00000001\n`,
});
const table = 'ip -j route show table all type';
const commands = {
  [`${table} blackhole`]: '[{"type":"blackhole","dst":"198.51.100.0/24","table":"7","flags":[]}]',
  [`${table} unreachable`]: '[]',
  [`${table} prohibit`]:
    '[{"type":"prohibit","dst":"2001:db8::/32","dev":"lo","metric":1024,"flags":[],"pref":"medium"}]',
  'ip -j -4 route show table all exact default':
    '[{"dst":"default","gateway":"10.77.0.1","dev":"vb","flags":[]}]',
  'ip -j -6 route show table all exact default':
    '[{"type":"unreachable","dst":"default","dev":"lo","table":"0","metric":4294967295}]',
  'ip -j -4 rule show':
    '[{"priority":0,"src":"all","table":"local"},{"priority":100,"src":"all","dst":"203.0.113.0","dstlen":24,"action":"prohibit"}]',
  'ip -j -6 rule show': '[]',
};

async function read(options: FakeHostOptions, first?: Routes): Promise<Routes> {
  const phase = first === undefined ? 'first' : 'last';
  const context = { phase, interfaces: [], ...(first !== undefined && { first }) } as const;
  const reading = await routes.read(fakeHost(options), context);
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return reading.value;
}

test('looks at the tables only when a look-up found no way', async () => {
  const first = await read({ files: files('00000001'), commands });
  expect(first.failures.get('rt_cache.in_no_route')).toBe(2n);
  expect((await read({ files: files('00000001'), commands }, first)).tables).toBeUndefined();

  const { tables } = await read({ files: files('00000002'), commands }, first);
  expect(tables?.refusing.map(({ text, family }) => [family, text])).toEqual([
    [4, 'blackhole 198.51.100.0/24 table 7'],
    [6, 'prohibit 2001:db8::/32'],
    [4, '100: from all to 203.0.113.0/24 prohibit'],
  ]);
  // The kernel's own "nothing here" is no default route.
  expect(tables?.defaults).toEqual(new Set([4]));
});

test('a table too large to print is a note, not a failure', async () => {
  const first = await read({ files: files('00000001') });
  const slow = unread('timeout', 'ip did not end within 500 ms.');
  const host = fakeHost({ files: files('00000005'), commands: { [`${table} blackhole`]: slow } });
  expect(await routes.read(host, { phase: 'last', interfaces: [], first })).toMatchObject({
    status: 'ok',
    notes: ['Routes: ip did not end within 500 ms.'],
  });
});

test.each([
  [{}, undefined],
  [{ type: 'unicast', dst: '10.0.0.0/8' }, undefined],
  [{ type: 'blackhole', dst: 7 }, undefined],
  [{ type: 'unreachable', dst: 'default', dev: 'lo', pref: 'medium' }, 6],
  [{ type: 'unreachable', dst: 'default' }, 4],
])('a route %j is one of IPv%s', (route, family) => {
  expect(refusingRoute(route)?.family).toBe(family);
});

test('rules with an action only', () => {
  const lookup = policyRule({ priority: 0, src: 'all', table: 'main' });
  expect(refusingRule(lookup, 4)).toBeUndefined();
  const action = policyRule({ priority: 5, src: '10.0.0.0', action: 'blackhole' });
  expect(refusingRule(action, 4)).toEqual({
    type: 'blackhole',
    kind: 'rule',
    family: 4,
    destination: 'default',
    text: '5: from 10.0.0.0 blackhole',
  });
});
