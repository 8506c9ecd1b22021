/** The middle value; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const above = sorted[Math.floor(sorted.length / 2)];
  const below = sorted[Math.ceil(sorted.length / 2) - 1];
  if (above === undefined || below === undefined) throw new Error('no values');
  return (above + below) / 2;
}

export interface Contender<Result> {
  readonly name: string;
  run(): Promise<Result>;
}

/**
 * Runs every contender once a round, each round starting with another one: what the rest of the machine
 * does meanwhile hits all of them alike. @returns the results of each, in the order of the rounds
 */
export async function interleaved<Result>(
  contenders: readonly Contender<Result>[],
  rounds: number,
  onRound: (round: number) => void = () => {},
): Promise<readonly (readonly Result[])[]> {
  const results = contenders.map((): Result[] => []);
  for (let round = 0; round < rounds; round += 1) {
    onRound(round + 1);
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const index = (round + turn) % contenders.length;
      const result = await contenders[index]?.run();
      if (result !== undefined) results[index]?.push(result);
    }
  }
  return results;
}
