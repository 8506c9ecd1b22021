import { expect, test } from 'vitest';
import { suppressionOf, type Suppression } from '../../../src/engine/suppress.ts';
import type { Scope } from '../../../src/model/rule.ts';

function reasonFor(
  cause: { readonly id: string; readonly scope?: Scope },
  suppressions: readonly Suppression[],
  only: readonly string[] = [],
): string | undefined {
  return suppressionOf({ scope: {}, ...cause }, { only, suppressions });
}

const reason = 'known, ticket 4711';

test('by id, anywhere', () => {
  const ignored = [{ id: 'a', reason }];
  expect(reasonFor({ id: 'a', scope: { interface: 'eth0' } }, ignored)).toBe(reason);
  expect(reasonFor({ id: 'b' }, ignored)).toBeUndefined();
});

test.each<[string, Scope]>([
  ['eth0.100', { interface: 'eth0.100' }],
  ['blue', { netns: 'blue' }],
  ['nginx', { process: { pid: 7, name: 'nginx' } }],
  ['udp 0.0.0.0:53', { socket: 'udp 0.0.0.0:53' }],
  ['ip filter INPUT', { rule: 'ip filter INPUT' }],
  ['10.0.0.1 > 10.0.0.2', { flow: '10.0.0.1 > 10.0.0.2' }],
])('by id in the scope %s only', (name, scope) => {
  const ignored = [{ id: 'a', scope: name, reason }];
  expect(reasonFor({ id: 'a', scope }, ignored)).toBe(reason);
  expect(reasonFor({ id: 'b', scope }, ignored)).toBeUndefined();
  expect(reasonFor({ id: 'a', scope: { interface: `${name}x` } }, ignored)).toBeUndefined();
  expect(reasonFor({ id: 'a' }, ignored)).toBeUndefined();
});

test('the first entry that covers it gives the reason', () => {
  const ignored = [
    { id: 'a', scope: 'eth1', reason: 'one' },
    { id: 'a', reason: 'two' },
  ];
  expect(reasonFor({ id: 'a', scope: { interface: 'eth1' } }, ignored)).toBe('one');
  expect(reasonFor({ id: 'a', scope: { interface: 'eth2' } }, ignored)).toBe('two');
});

test('--only leaves out all others', () => {
  expect(reasonFor({ id: 'a' }, [], ['a', 'b'])).toBeUndefined();
  expect(reasonFor({ id: 'c' }, [], ['a', 'b'])).toBe('not asked for (--only)');
  expect(reasonFor({ id: 'a' }, [{ id: 'a', reason }], ['a'])).toBe(reason);
});
