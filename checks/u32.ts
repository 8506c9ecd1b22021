/**
 * How far a counter of 32 bits rose: such counters (and sums of them) wrap at 2^32, which is not a
 * reset. `rise` of src/model/counter.ts would report 0. Right as long as it rose by less than 2^32.
 * A counter that was not there in both readings: 0.
 */
export function riseU32(first: bigint | undefined, last: bigint | undefined): number {
  if (first === undefined || last === undefined) return 0;
  return Number(BigInt.asUintN(32, last - first));
}
