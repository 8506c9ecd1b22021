import { readFileSync } from 'node:fs';
import { unread, type Unread } from '../model/reading.ts';

/** Turns a failed system call on tracefs into a sentence that says what would help. */
export function tracefsUnread(error: unknown, what: string): Unread {
  const code = errorCode(error);
  if (code === 'ENOENT') return unread('absent', `${what}: this kernel does not offer it.`);
  if (code !== 'EACCES' && code !== 'EPERM') return unread('denied', `${what}: ${code}.`);
  return notPermitted(what, 'CAP_SYS_ADMIN');
}

/** @param capability what gives the right in a container */
export function notPermitted(what: string, capability: string): Unread {
  if (process.geteuid?.() !== 0) return unread('denied', `${what}: needs root. Run it with sudo.`);
  if (lockedDown()) {
    return unread(
      'denied',
      `${what}: kernel lockdown is in confidentiality mode, which forbids tracing even for root.`,
    );
  }
  return unread(
    'denied',
    `${what}: not permitted, even for root. In a container, run whydrop on the host or give it ${capability}.`,
  );
}

/** `ENOENT`, or what else can be said about the error. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return String(error);
}

/** LOCKDOWN_TRACEFS and LOCKDOWN_BPF_READ_KERNEL belong to the confidentiality class (include/linux/security.h). */
export function lockedDown(): boolean {
  try {
    return readFileSync('/sys/kernel/security/lockdown', 'utf8').includes('[confidentiality]');
  } catch {
    return false;
  }
}
