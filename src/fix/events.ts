import type { Judgement, MeasuredCause } from './judge.ts';
import type { PlannedFix } from './plan.ts';

/** What happens while fixes are applied or undone, in order. Data: the command line renders it. */
export type FixEvent =
  | { readonly type: 'refused'; readonly fix: PlannedFix; readonly reason: string }
  | { readonly type: 'declined'; readonly fix: PlannedFix }
  /** Not tried any more: another fix has cured its cause. */
  | { readonly type: 'not-needed'; readonly fix: PlannedFix; readonly reason: string }
  /** `id` is what `whydrop undo` takes. */
  | { readonly type: 'journalled'; readonly fix: PlannedFix; readonly id: string }
  | {
      readonly type: 'written';
      readonly key: string;
      readonly where: string;
      readonly from: string;
      readonly to: string;
      /** What the kernel made of it; not `to` when it rounds or clamps. */
      readonly became: string;
      readonly adjusted: boolean;
      /** Other settings the kernel changed along with it. */
      readonly alsoChanged: readonly { key: string; from: string; to: string }[];
    }
  | { readonly type: 'measuring'; readonly fix: PlannedFix }
  | {
      readonly type: 'judged';
      readonly fix: PlannedFix;
      readonly judgement: Judgement;
      /** Causes that were not there before: loss may have moved one layer up. */
      readonly newCauses: readonly MeasuredCause[];
    }
  | { readonly type: 'restored'; readonly step: StepRestore }
  | { readonly type: 'persisted'; readonly file: string; readonly keys: readonly string[] }
  /** One plain sentence about something that went less well than it should. */
  | { readonly type: 'warning'; readonly text: string };

/** What came of putting one old value back. */
export interface StepRestore {
  readonly key: string;
  readonly where: string;
  /**
   * - `restored`: the old value is back
   * - `already`: it was back before we came
   * - `gone`: the namespace, interface or module is gone, and the setting with it
   * - `changed-since`: somebody else set it since; left alone
   * - `failed`: the kernel refused, or it could not be read
   */
  readonly result: 'restored' | 'already' | 'gone' | 'changed-since' | 'failed';
  /** The value it should have again, on one line. */
  readonly to: string;
  /** One plain sentence for the last three. */
  readonly reason?: string;
}
