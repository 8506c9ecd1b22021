const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Ends what is under way, once a signal came or a question was answered by Ctrl-C. No failure. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export interface Interruption {
  readonly signal: AbortSignal;
  /** What the process must end with, once it was told to end. */
  exitCode(): number | undefined;
  /** Ctrl-C at a prompt is a character, not a signal: this makes it one. */
  interrupt(): void;
}

/**
 * Turns Ctrl-C and friends into an orderly end: the window closes, the capture is removed, the
 * process ends with the signal's code. A second one ends it at once (exit handlers still clean up).
 *
 * Call it before anything is started that has to be removed: node runs no exit handler on a signal
 * that nobody listens to.
 */
export function interruptible(): Interruption {
  const controller = new AbortController();
  let ending: number | undefined;
  const end = (code: number): void => {
    if (ending !== undefined) process.exit(code);
    ending = code;
    controller.abort();
  };
  for (const [name, code] of Object.entries(EXIT_CODES)) {
    process.on(name, () => {
      end(code);
    });
  }
  return {
    signal: controller.signal,
    exitCode: () => ending,
    interrupt: () => {
      if (ending === undefined) end(EXIT_CODES.SIGINT);
    },
  };
}
