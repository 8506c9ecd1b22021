import { afterEach, expect, test, vi } from 'vitest';
import { interruptible } from '../../../src/cli/interrupt.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

afterEach(() => {
  for (const name of signals) process.removeAllListeners(name);
  vi.restoreAllMocks();
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s: an orderly end with %d, a second one ends at once', (name, code) => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  const interrupted = interruptible();
  expect(interrupted.exitCode()).toBeUndefined();
  expect(interrupted.signal.aborted).toBe(false);

  process.emit(name);
  expect(interrupted.exitCode()).toBe(code);
  expect(interrupted.signal.aborted).toBe(true);
  expect(exit).not.toHaveBeenCalled();

  process.emit(name);
  expect(exit).toHaveBeenCalledWith(code);
});

test('Ctrl-C at a prompt counts as SIGINT, once', () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  const interrupted = interruptible();
  interrupted.interrupt();
  interrupted.interrupt();
  expect(interrupted.exitCode()).toBe(130);
  expect(exit).not.toHaveBeenCalled();
});
