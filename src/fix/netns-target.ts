import { readdir, stat } from 'node:fs/promises';

import {
  openInitialNamespace,
  openNamedNamespace,
  openOwnNamespace,
  type Namespace,
} from '../host/namespace.ts';
import { ok, unread, type Reading, type Unread } from '../model/reading.ts';
import { processStart, readBootId } from './process-identity.ts';

/**
 * The network namespace in which a setting lives. `initial` is that of process 1 (in a container: the
 * container's), or our own where process 1 cannot be seen.
 */
export type NetnsTarget =
  | { readonly kind: 'initial' }
  | {
      readonly kind: 'netns';
      /** As the user named it. */
      readonly name: string;
      readonly path: string;
      /**
       * Of the nsfs file, decimal. The kernel gives a freed number to the next namespace (seen on 6.18),
       * so this alone does not tell one from a later one; `mark` and `bootId` do.
       */
      readonly inode: string;
      /**
       * When the mounted nsfs file was made, or when the process started by which it was named.
       * Empty for our own namespace without a name.
       */
      readonly mark: string;
      readonly bootId: string;
    };

const ownPath = '/proc/self/ns/net';
const namedDirectory = '/run/netns';

/**
 * Finds the namespace of a setting.
 *
 * @param netns name, process id or path, as `--netns` takes it; null: the one whydrop runs in
 */
export async function locateNetns(netns: string | null): Promise<Reading<NetnsTarget>> {
  const path = netns === null ? await pathOfOwn() : pathOf(netns);
  const opened = await openNamedNamespace(path);
  if (opened.status !== 'ok') return opened;
  try {
    const inode = await inodeOf(opened.value.path);
    if (inode === (await inodeOfInitial())) return ok({ kind: 'initial' });
    const mark = await markOf(path, opened.value);
    const bootId = await readBootId();
    return ok({ kind: 'netns', name: netns ?? nameOf(path), path, inode, mark, bootId });
  } finally {
    await opened.value.close();
  }
}

/** For people: `this host` or `network namespace b`. */
export function describeTarget(target: NetnsTarget): string {
  return target.kind === 'initial' ? 'this host' : `network namespace ${target.name}`;
}

/** Whether two targets are one namespace, whatever they were called. */
export function sameTarget(one: NetnsTarget, other: NetnsTarget): boolean {
  if (one.kind === 'initial' || other.kind === 'initial') return one.kind === other.kind;
  return one.inode === other.inode && one.mark === other.mark && one.bootId === other.bootId;
}

/**
 * Calls `work` with the path by which nsenter(1) reaches the target, or null when whydrop runs in it.
 * The namespace is held open meanwhile, so that its name cannot come to mean another one.
 * `absent`: the namespace is gone.
 */
export async function inTarget<Result>(
  target: NetnsTarget,
  work: (enterBy: string | null) => Promise<Reading<Result>>,
): Promise<Reading<Result>> {
  const own = await inodeOf(ownPath);
  if (target.kind === 'initial') {
    const initial = await openInitialNamespace();
    // Out of sight, as in many containers: ours is the only one there is for us.
    if (initial.status !== 'ok') return await work(null);
    return await holding(initial.value, async ({ path }) =>
      work((await inodeOf(path)) === own ? null : path),
    );
  }
  if (target.bootId !== (await readBootId())) return gone(target.name);
  const opened = await openNamedNamespace(target.path);
  if (opened.status === 'absent' || opened.status === 'malformed') return gone(target.name);
  if (opened.status !== 'ok') return opened;
  return await holding(opened.value, async (namespace) => {
    const inode = await inodeOf(namespace.path);
    if (inode !== target.inode || (await markOf(target.path, namespace)) !== target.mark) {
      return target.path === ownPath ? unnamed() : gone(target.name);
    }
    return await work(inode === own ? null : namespace.path);
  });
}

async function holding<Result>(
  namespace: Namespace,
  work: (namespace: Namespace) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(namespace);
  } finally {
    await namespace.close();
  }
}

function pathOf(netns: string): string {
  if (/^\d+$/.test(netns)) return `/proc/${netns}/ns/net`;
  return netns.includes('/') ? netns : `${namedDirectory}/${netns}`;
}

/** By its name where it has one: a later `whydrop undo` may run elsewhere. */
async function pathOfOwn(): Promise<string> {
  const own = await openOwnNamespace();
  if (own.status !== 'ok') return ownPath;
  return await holding(own.value, async ({ id }) => {
    for (const name of await readdir(namedDirectory).catch(() => [])) {
      const path = `${namedDirectory}/${name}`;
      const opened = await openNamedNamespace(path);
      if (opened.status !== 'ok') continue;
      await opened.value.close();
      if (opened.value.id === id) return path;
    }
    return ownPath;
  });
}

function nameOf(path: string): string {
  return path === ownPath ? '(without a name)' : path.slice(namedDirectory.length + 1);
}

async function markOf(path: string, namespace: Namespace): Promise<string> {
  if (path === ownPath) return '';
  const pid = /^\/proc\/(\d+)\/ns\/net$/.exec(path)?.[1];
  if (pid !== undefined) return `process:${(await processStart(Number(pid))) ?? ''}`;
  // Stable while mounted; otherwise the kernel makes the inode anew, with a new time, once it forgot it.
  return `made:${(await stat(namespace.path, { bigint: true })).ctimeNs}`;
}

/** @param path of an open nsfs file */
async function inodeOf(path: string): Promise<string> {
  return String((await stat(path, { bigint: true })).ino);
}

async function inodeOfInitial(): Promise<string> {
  const initial = await openInitialNamespace();
  if (initial.status !== 'ok') return await inodeOf(ownPath);
  return await holding(initial.value, ({ path }) => inodeOf(path));
}

function gone(name: string): Unread {
  return unread('absent', `network namespace ${name} is gone`);
}

function unnamed(): Unread {
  return unread(
    'denied',
    'the setting is in a network namespace without a name: run whydrop inside that namespace',
  );
}
