import type { Pair } from './network.ts';

/** Normal work of a host, of which whydrop must not say a word of alarm. */
export interface Workload {
  readonly name: string;
  /** Servers, rules and settings that are there before whydrop looks. */
  setUp?(pair: Pair): Promise<unknown>;
  /** Some seconds of traffic. @returns what got through, counted by the programs themselves. */
  traffic(pair: Pair): Promise<Done | readonly Done[]>;
}

export interface Done {
  readonly count: number;
  readonly what: string;
  /** Less would be no workload to speak of: the test itself would be broken. */
  readonly atLeast: number;
}
