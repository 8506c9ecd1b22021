/**
 * Which events lie within the window. Times are nanoseconds of CLOCK_MONOTONIC, which is both
 * process.hrtime and the trace clock `mono`.
 *
 * An event is decoded after it happened, and a mark is set before it can matter: as long as there is
 * no `window-open`, all events are before it; as long as there is no `window-close`, none is after it.
 */
export class Window {
  #openNs = Infinity;
  #closeNs = Infinity;

  mark(moment: 'window-open' | 'window-close', nowNs: number): void {
    if (moment === 'window-open') this.#openNs = nowNs;
    else this.#closeNs = nowNs;
  }

  isOutside(timeNs: number): boolean {
    return timeNs < this.#openNs || timeNs > this.#closeNs;
  }
}
