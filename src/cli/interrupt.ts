const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export interface Interruption {
  readonly signal: AbortSignal;
  /** Set once a signal came: what the process must end with. */
  readonly exitCode: number | undefined;
}

/**
 * Turns Ctrl-C and friends into an orderly end: the window closes, the capture is removed, the
 * process ends with the signal's code. A second one ends it at once (exit handlers still clean up).
 */
export function interruptible(): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  for (const [name, code] of Object.entries(EXIT_CODES)) {
    process.on(name, () => {
      if (exitCode !== undefined) process.exit(code);
      exitCode = code;
      controller.abort();
    });
  }
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
  };
}
