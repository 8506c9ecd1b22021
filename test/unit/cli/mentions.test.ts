import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { rules } from '../../../rules/index.ts';
import { causesMentioning } from '../../../src/cli/mentions.ts';

const idsFor = (words: string): readonly string[] =>
  causesMentioning(words, rules).map(({ id }) => id);

test.each([
  ['rp_filter', 'ip-rpfilter'],
  ['rpfilter', 'ip-rpfilter'],
  ['RP-FILTER', 'ip-rpfilter'],
  ['net.core.netdev_max_backlog', 'softnet-backlog'],
  ['net/core/netdev_max_backlog', 'softnet-backlog'],
  ['neighbour: arp_cache: neighbor table overflow!', 'neigh-table-overflow'],
  ['ethtool -G', 'nic-rx-ring'],
])('%s is a matter of %s', (words, id) => {
  expect(idsFor(words)).toContain(id);
});

test('id and title count more than the text', () => {
  expect(idsFor('conntrack').slice(0, 2)).toEqual([
    'nf-conntrack-full',
    'nf-conntrack-insert-failed',
  ]);
});

test('a part of a word in the text is no mention, nor is nothing at all', () => {
  expect(idsFor('etdev_max_backlo')).toEqual([]);
  expect(idsFor(' -_ ')).toEqual([]);
});

test('whatever the words, a screen at most', () => {
  fc.assert(
    fc.property(fc.string(), (words) => {
      expect(idsFor(words).length).toBeLessThanOrEqual(12);
    }),
  );
});
