/** How wide the kernel's counter is. One of 32 bits, or a sum of such, wraps, which is no reset. */
export type CounterBits = 32 | 64;

/**
 * How far a counter moved in the window; negative: backwards. Of 32 bits the shorter way round counts
 * (as serial numbers do, RFC 1982), so it is right for a rise of less than 2^31.
 */
export function change(first: bigint, last: bigint, bits: CounterBits = 64): bigint {
  return bits === 32 ? BigInt.asIntN(32, last - first) : last - first;
}

/**
 * How far a counter rose in the window. Of one that went down (reset, or its device was replaced)
 * nothing can be said, so the answer is 0 (the report lists such counters).
 * The same goes for one that was not there in both readings.
 */
export function rise(
  first: bigint | undefined,
  last: bigint | undefined,
  bits: CounterBits = 64,
): number {
  if (first === undefined || last === undefined) return 0;
  return Math.max(0, Number(change(first, last, bits)));
}
