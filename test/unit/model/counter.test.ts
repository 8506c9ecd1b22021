import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { change, rise } from '../../../src/model/counter.ts';

test.each([
  [5n, 12n, 64, 7],
  [5n, 12n, 32, 7],
  [0n, 0n, 64, 0],
  // Reset.
  [700n, 8n, 64, 0],
  [700n, 8n, 32, 0],
  // Wrapped: no reset where the counter has 32 bits.
  [0xffff_fff0n, 0x10n, 64, 0],
  [0xffff_fff0n, 0x10n, 32, 0x20],
  // The sum of two CPUs, one of which wrapped.
  [0xffff_ffffn + 100n, 101n, 32, 2],
  // A CPU went offline, and its part of the sum with it.
  [9_000_000n, 8_000_000n, 32, 0],
  // 2^63 and more are no negative numbers.
  [2n ** 63n - 1n, 2n ** 63n + 1n, 64, 2],
] as const)('from %d to %d with %d bits: %d', (first, last, bits, expected) => {
  expect(rise(first, last, bits)).toBe(expected);
});

test('a counter that is missing in one reading did not rise', () => {
  expect(rise(undefined, 12n)).toBe(0);
  expect(rise(12n, undefined)).toBe(0);
});

test('a rise of less than 2^31 is found wherever a 32-bit counter stands, and never taken for a reset', () => {
  const start = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
  const step = fc.bigInt({ min: 0n, max: 2n ** 31n - 1n });
  fc.assert(
    fc.property(start, step, (first, by) => {
      expect(change(first, BigInt.asUintN(32, first + by), 32)).toBe(by);
    }),
  );
});
