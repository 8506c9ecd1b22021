import { expect, test } from 'vitest';

import { inPlace } from '../../../src/host/in-place.ts';

test('who has used up the turn lets others go first', async () => {
  const order: string[] = [];
  const others = new Promise<void>((resolve) => {
    setImmediate(() => {
      order.push('others');
      resolve();
    });
  });
  await inPlace(() => {
    const until = performance.now() + 40;
    while (performance.now() < until);
    order.push('long');
  });
  await inPlace(() => order.push('next'));
  await others;
  expect(order).toEqual(['long', 'others', 'next']);
});

test('who has not goes on at once', async () => {
  const order: string[] = [];
  // The turn that an earlier test used up is over.
  await new Promise(setImmediate);
  const others = new Promise<void>((resolve) => {
    setImmediate(() => {
      order.push('others');
      resolve();
    });
  });
  await inPlace(() => order.push('one'));
  await inPlace(() => order.push('two'));
  await others;
  expect(order).toEqual(['one', 'two', 'others']);
});

test('a failure is the caller’s, and costs the turn nothing more', async () => {
  await expect(
    inPlace(() => {
      throw new Error('no such file');
    }),
  ).rejects.toThrow('no such file');
  expect(await inPlace(() => 7)).toBe(7);
});
