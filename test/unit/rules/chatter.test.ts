import { expect, test } from 'vitest';
import { isChatter } from '../../../rules/l2/chatter.ts';
import { window } from './evidence.ts';

// All at once in a short window, or at the same slow pace for as long as somebody looks.
test.each([
  [1, 19, 20],
  [5, 25, 26],
  [60, 300, 301],
])('in %s seconds %s packets are chatter, %s are not', (seconds, most, more) => {
  expect(isChatter(most, { ...window, seconds })).toBe(true);
  expect(isChatter(more, { ...window, seconds })).toBe(false);
});
