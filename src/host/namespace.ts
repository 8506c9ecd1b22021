import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import process from 'node:process';

import { ok, unread, type Reading } from '../model/reading.ts';
import { errnoOf } from './errno.ts';

/** A network namespace held open: it lives on, and means the same, whatever happens to its name. */
export interface Namespace {
  /** Device and inode: equal for the same namespace, whatever the path. */
  readonly id: string;
  readonly inode: number;
  readonly fd: number;
  /** Another name for the open file, good for our children while we live. */
  readonly path: string;
  /** Idempotent. */
  close(): Promise<void>;
}

/** The namespace that the user named with `--netns`: a name of `ip netns`, a process id, or a path. */
export async function openNamedNamespace(netns: string): Promise<Reading<Namespace>> {
  if (/^\d+$/.test(netns)) {
    return openNamespace(`/proc/${netns}/ns/net`, `there is no process ${netns}`);
  }
  if (/[\0-\x1f\x7f]/.test(netns)) {
    return unread('malformed', 'the name of the network namespace has control characters');
  }
  if (netns.includes('/')) return openNamespace(netns, `there is no file ${netns}`);
  if (netns === '' || netns === '.' || netns === '..') {
    return unread('malformed', `'${netns}' is not the name of a network namespace`);
  }
  return openNamespace(
    `/run/netns/${netns}`,
    `there is no network namespace named ${netns}; 'ip netns' lists the names`,
  );
}

/** The namespace whydrop runs in. */
export function openOwnNamespace(): Promise<Reading<Namespace>> {
  return openNamespace('/proc/self/ns/net', 'this kernel has no network namespaces');
}

/**
 * The initial namespace: that of process 1, or of kthreadd (process 2) where process 1 hides.
 * In a container it is the container's: the host's is out of sight.
 */
export async function openInitialNamespace(): Promise<Reading<Namespace>> {
  const first = await openNamespace('/proc/1/ns/net', 'process 1 is out of sight');
  if (first.status === 'ok') return first;
  const second = await openNamespace('/proc/2/ns/net', 'process 2 is out of sight');
  return second.status === 'ok' ? second : first;
}

async function openNamespace(path: string, whenMissing: string): Promise<Reading<Namespace>> {
  let file: FileHandle | undefined;
  try {
    // O_NONBLOCK: the path may be a FIFO.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const held = file;
    const [{ dev, ino }, own] = await Promise.all([held.stat(), stat('/proc/self/ns/net')]);
    // All namespaces are on one file system (nsfs); a namespace of another kind fails when entered.
    if (dev === own.dev) {
      return ok({
        id: `${dev}:${ino}`,
        inode: ino,
        fd: held.fd,
        path: `/proc/${process.pid}/fd/${held.fd}`,
        close: () => held.close(),
      });
    }
    await held.close();
    return unread('malformed', `${path} is not a network namespace`);
  } catch (error) {
    await file?.close();
    const errno = errnoOf(error) ?? String(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return unread('absent', whenMissing);
    if (errno === 'EACCES' || errno === 'EPERM') {
      return unread('denied', `${path} may not be opened; run whydrop as root`);
    }
    return unread('malformed', `${path} cannot be opened as a network namespace (${errno})`);
  }
}
