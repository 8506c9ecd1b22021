import type { Pair } from './network.ts';

/** A fault made for real in a pair of namespaces, and what whydrop must say of it. */
export interface Scenario {
  readonly name: string;
  /** Cause id that must be ranked first. */
  readonly cause: string;
  readonly confidence: 'certain' | 'likely';
  /** Options of `whydrop report` beside --netns of the receiver. */
  readonly options?: readonly string[];
  /** Settings that make the fault; undone by the pair's clean-up. */
  setUp(pair: Pair): Promise<void>;
  /** Traffic that hits the fault, some seconds long. */
  traffic(pair: Pair): Promise<unknown>;
  /** Packets lost so far, told by another tool than whydrop. */
  lost(pair: Pair): Promise<number>;
  /** How it is cured: by a sysctl that `whydrop fix` applies, or by what it prints only. */
  readonly cure: Cure;
}

export type Cure =
  | {
      readonly kind: 'sysctl';
      /** `--only` of whydrop fix. */
      readonly fix: string;
      /** Exit code of `whydrop fix`: 0 verified, 1 when a service must restart first. */
      readonly exitCode: 0 | 1;
      /** What the administrator does after the fix (restart the service). */
      after?(pair: Pair): Promise<void>;
    }
  | { readonly kind: 'printed' };
