import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { nearest } from '../../../src/cli/nearest.ts';

const known = ['ip-rpfilter', 'IP_RPFILTER', 'TcpExtListenOverflows', 'nf-rule-drop', 'XDP'];

test.each([
  ['rpfilter', ['ip-rpfilter', 'IP_RPFILTER']],
  ['IP-RPFILTER', ['ip-rpfilter', 'IP_RPFILTER']],
  ['ListenOverflow', ['TcpExtListenOverflows']],
  ['nf-role-drop', ['nf-rule-drop']],
  ['nonsense', []],
  ['ip', []],
  ['', []],
])('%s: %s', (name, near) => {
  expect(nearest(name, known)).toEqual(near);
});

test('whatever the name, it is only known names, three at most, and a name itself first', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      const near = nearest(name, [...known, name]);
      expect(near[0]).toBe(name);
      expect(near.length).toBeLessThanOrEqual(3);
    }),
  );
});
