import { AsyncLocalStorage } from 'node:async_hooks';

import type { Phase } from '../model/host.ts';

/** The phase that what is running belongs to: work that goes on in the next one stays in the one where it began. */
export class CurrentPhase {
  readonly #phases = new AsyncLocalStorage<Phase>();

  begin(phase: Phase): void {
    this.#phases.enterWith(phase);
  }

  get(): Phase {
    return this.#phases.getStore() ?? 'facts';
  }
}
