import { expect, test } from 'vitest';
import { rules } from '../../../rules/index.ts';
import { locations } from '../../../src/catalogue/locations.ts';
import { causeIds } from './cause-ids.ts';

test('every cause that a function points to is known, or has a rule', () => {
  const known = new Set([...causeIds, ...rules.map(({ id }) => id)]);
  const strange = locations.flatMap(({ causes }) => causes).filter((id) => !known.has(id));
  expect(strange).toEqual([]);
});
