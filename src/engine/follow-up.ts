import type { FollowUpCheck } from '../model/check.ts';
import type { DropCapture } from '../model/drops.ts';
import type { Host } from '../model/host.ts';
import { unread, type Reading } from '../model/reading.ts';
import { isolated, within } from './isolate.ts';
import { placeDrops } from './place.ts';

/** One follow-up check, after the window. */
export class FollowUp {
  readonly check: FollowUpCheck<unknown>;
  #reading: Reading<unknown> = unread(
    'not-applicable',
    'there is no capture of drops to ask about',
  );
  #tookMs = 0;

  constructor(check: FollowUpCheck<unknown>) {
    this.check = check;
  }

  /** @param capture of the whole machine */
  async read(host: Host, capture: DropCapture): Promise<void> {
    const foreign = host.initial !== host;
    const placed = placeDrops(capture, host.facts.netnsInode, foreign);
    if (!placed.known) {
      this.#reading = unread(
        'not-applicable',
        'this capture does not tell whose packets were dropped',
      );
      return;
    }
    const startedAt = performance.now();
    this.#reading = await within(
      this.check.timeoutMs,
      this.check.id,
      isolated(() => this.check.read(host, placed.capture)),
    );
    this.#tookMs = performance.now() - startedAt;
  }

  result(): { reading: Reading<unknown>; tookMs: number } {
    return { reading: this.#reading, tookMs: this.#tookMs };
  }
}
