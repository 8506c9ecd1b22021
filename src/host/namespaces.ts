import { readdirSync, readlinkSync, statSync } from 'node:fs';
import process from 'node:process';

import { errnoOf } from './errno.ts';

/** A network namespace as it was found. */
export interface FoundNamespace {
  readonly inode: number;
  /** A file that names it: of `ip netns`, of Docker. */
  readonly path: string | null;
  /** The oldest process in it: with the lowest number, but never our own. */
  readonly pid: number | null;
}

export interface FoundNamespaces {
  /** By inode number. */
  readonly found: ReadonlyMap<number, FoundNamespace>;
  /** Some processes hide theirs from us. */
  readonly someHidden: boolean;
}

const IP_NETNS = '/run/netns';
/** Where namespaces have names; the first one counts. */
const DIRECTORIES = [IP_NETNS, '/run/docker/netns'];

/**
 * Namespaces that a process is in, or that have a name. One held only by an open file or a bind mount
 * elsewhere is missed.
 *
 * @throws when there is no /proc, or this kernel has no namespaces
 */
export function findNamespaces(): FoundNamespaces {
  const own = statSync('/proc/self/ns/net');
  const found = new Map<number, FoundNamespace>();
  for (const path of DIRECTORIES.flatMap(pathsIn)) {
    const file = statSync(path, { throwIfNoEntry: false });
    // A leftover name whose namespace is gone is a plain file on another file system.
    if (file?.dev === own.dev && !found.has(file.ino)) {
      found.set(file.ino, { inode: file.ino, path, pid: null });
    }
  }
  let someHidden = false;
  for (const pid of processes()) {
    const inode = namespaceOfProcess(pid);
    if (inode === 'denied') someHidden = true;
    if (typeof inode !== 'number') continue;
    const known = found.get(inode) ?? { inode, path: null, pid: null };
    if (known.pid === null) {
      found.set(inode, { ...known, pid: pid === process.pid ? null : pid });
    }
  }
  return { found, someHidden };
}

function pathsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .sort()
      .map((name) => `${directory}/${name}`);
  } catch {
    return [];
  }
}

/** In the order they were started, but for numbers that began anew. */
function processes(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

function namespaceOfProcess(pid: number): number | 'denied' | 'none' {
  try {
    const link = readlinkSync(`/proc/${pid}/ns/net`);
    return Number(/^net:\[(\d+)\]$/.exec(link)?.[1] ?? Number.NaN) || 'none';
  } catch (error) {
    // It may have just ended.
    return errnoOf(error) === 'EACCES' ? 'denied' : 'none';
  }
}

/** What `--netns` takes to get there. Null: there is nothing to name it by. */
export function referenceTo(namespace: FoundNamespace): string | null {
  const { path, pid } = namespace;
  const name = nameOf(namespace);
  // A number would be a process, and `all` is every namespace.
  if (name !== null && !/^(?:\d+|all)$/.test(name)) return name;
  return path ?? (pid === null ? null : String(pid));
}

/** The name that `ip netns` has for it. */
export function nameOf({ path }: FoundNamespace): string | null {
  return path?.startsWith(`${IP_NETNS}/`) === true ? path.slice(IP_NETNS.length + 1) : null;
}
