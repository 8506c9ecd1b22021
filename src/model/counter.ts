/**
 * How far a counter rose in the window. A counter that went down was reset or wrapped within the
 * window: nothing can be said about it, so the answer is 0 (the report lists such counters).
 * The same goes for one that was not there in both readings.
 */
export function rise(first: bigint | undefined, last: bigint | undefined): number {
  if (first === undefined || last === undefined || last < first) return 0;
  return Number(last - first);
}
