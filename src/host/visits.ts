import { closeSync, openSync } from 'node:fs';
import process from 'node:process';

import { ok, unread, type Reading } from '../model/reading.ts';

/** Does short synchronous work somewhere: at once where we are, or in another network namespace. */
export type Within = <Result>(work: () => Result) => Result;

export const here: Within = (work) => work();

/**
 * Takes the main thread into other network namespaces (setns(2)) and back. What it does there must be
 * synchronous; programs that it starts there stay there. It costs a microsecond, where a helper
 * process (holder.ts) costs ten milliseconds: with many namespaces that decides.
 */
export interface Visits {
  /** @param namespaceFd an open file of the namespace */
  to(namespaceFd: number): Within;
  /** A new mount of sysfs that shows the devices of that namespace. It is nowhere but in this file descriptor. */
  mountSysfs(namespaceFd: number): Reading<number>;
}

/** include/uapi/linux/sched.h, mount.h, and the system calls' numbers, which are the same on all machines since 5.2. */
const CLONE_NEWNET = 0x4000_0000;
const FSOPEN_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
const NOSUID_NODEV_NOEXEC = 0x2 | 0x4 | 0x8;
const SYS = { fsopen: 430, fsconfig: 431, fsmount: 432 } as const;

/** Not `ok` without koffi, or without the right to. */
export async function openVisits(): Promise<Reading<Visits>> {
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    const setns = libc.func('int setns(int fd, int kind)') as (fd: number, kind: number) => number;
    const syscall = libc.func('long syscall(long number, ...)') as (...args: unknown[]) => number;
    // It stays open as long as we live. Never closed, never passed on (O_CLOEXEC is node's default).
    const own = openSync('/proc/thread-self/ns/net', 'r');
    // Where this may be done once, the way back is certain.
    if (setns(own, CLONE_NEWNET) !== 0) {
      closeSync(own);
      return unread('denied', 'other network namespaces may not be entered; run whydrop as root');
    }
    const to =
      (namespaceFd: number): Within =>
      (work) => {
        if (setns(namespaceFd, CLONE_NEWNET) !== 0)
          throw new Error('the namespace cannot be entered');
        try {
          return work();
        } finally {
          // In a wrong namespace everything that is read from now on would be wrong.
          if (setns(own, CLONE_NEWNET) !== 0) process.abort();
        }
      };
    const call = (number: number, ...args: readonly (number | string | null)[]): number =>
      syscall(number, ...args.flatMap((value) => [typeOf(value), value]));
    return ok({
      to,
      mountSysfs: (namespaceFd) =>
        to(namespaceFd)(() => {
          const context = call(SYS.fsopen, 'sysfs', FSOPEN_CLOEXEC);
          if (context < 0) return unread('absent', 'this kernel cannot mount sysfs by fsopen(2)');
          const created = call(SYS.fsconfig, context, FSCONFIG_CMD_CREATE, null, null, 0);
          const mount =
            created < 0 ? -1 : call(SYS.fsmount, context, FSMOUNT_CLOEXEC, NOSUID_NODEV_NOEXEC);
          closeSync(context);
          return mount < 0
            ? unread('denied', 'the devices of the network namespace cannot be seen')
            : ok(mount);
        }),
    });
  } catch {
    return unread('absent', 'the optional package koffi is not installed');
  }
}

/** In C, as koffi names it. */
function typeOf(value: number | string | null): string {
  if (typeof value === 'number') return 'int';
  return value === null ? 'void *' : 'const char *';
}
