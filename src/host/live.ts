import { setTimeout as sleep } from 'node:timers/promises';

import type {
  CaptureOptions,
  CommandOutput,
  Host,
  HostFacts,
  RunningCapture,
  RunOptions,
  View,
} from '../model/host.ts';
import { ok, type Reading } from '../model/reading.ts';
import { LiveCaptures } from './capture.ts';
import type { ClosableView } from './closable.ts';
import { directView } from './direct.ts';
import { enterNamespace } from './entered.ts';
import { readFacts } from './facts.ts';
import { KernelLog } from './kernel-log.ts';
import { LateView } from './late.ts';
import {
  openInitialNamespace,
  openNamedNamespace,
  openOwnNamespace,
  type Namespace,
} from './namespace.ts';

export interface LiveOptions {
  /** Another network namespace: a name of `ip netns`, a process id, or a path. Null: the one we are in. */
  readonly netns: string | null;
  /** A capture that will be wanted: it is made ready while the namespace is entered. */
  readonly capture?: CaptureOptions['backend'];
}

/**
 * The machine we run on. A namespace that cannot be entered is an unread reading with a plain
 * sentence; all other trouble shows in the single readings.
 */
export async function openLiveHost(options: LiveOptions): Promise<Reading<Host>> {
  const captures = new LiveCaptures();
  if (options.capture !== undefined) captures.prepare(options.capture);
  const place = await findPlace(options.netns);
  if (place.status !== 'ok') {
    await captures.close();
    return place;
  }
  return ok(new LiveHost(await readFacts(options.netns, place.value.inode), place.value, captures));
}

/** Where a live host reads. */
interface Place {
  readonly view: ClosableView;
  /** Undefined: `view` is the initial namespace. */
  readonly initial: ClosableView | undefined;
  /** Of the namespace of `view`. */
  readonly inode: number | null;
}

async function findPlace(netns: string | null): Promise<Reading<Place>> {
  const own = await openOwnNamespace();
  if (own.status !== 'ok') {
    // No /proc, or a kernel without namespaces: the one we are in is all there is.
    return netns === null ? ok({ view: directView, initial: undefined, inode: null }) : own;
  }
  const { id: ownId, inode: ownInode } = own.value;
  await own.value.close();
  if (netns === null) {
    return ok({ view: directView, initial: await initialView(ownId, ownId), inode: ownInode });
  }

  const target = await openNamedNamespace(netns);
  if (target.status !== 'ok') return target;
  const { id: targetId, inode } = target.value;
  const view = await viewOf(target.value, ownId);
  if (view.status !== 'ok') return view;
  return ok({ view: view.value, initial: await initialView(ownId, targetId), inode });
}

async function viewOf(namespace: Namespace, ownId: string): Promise<Reading<ClosableView>> {
  if (namespace.id !== ownId) return enterNamespace(namespace);
  await namespace.close();
  return ok(directView);
}

/** Undefined: it is the target itself. */
async function initialView(ownId: string, targetId: string): Promise<ClosableView | undefined> {
  const initial = await openInitialNamespace();
  // Without the right to look, we take our own for the initial one.
  const id = initial.status === 'ok' ? initial.value.id : ownId;
  if (initial.status === 'ok') {
    if (id !== ownId && id !== targetId) return new LateView(initial.value);
    await initial.value.close();
  }
  return id === targetId ? undefined : directView;
}

/** Closing it closes its views and captures. Hosts of one machine may share them. */
export class LiveHost implements Host {
  readonly facts: HostFacts;
  readonly initial: View;
  readonly #place: Place;
  readonly #captures: LiveCaptures;
  readonly #kernelLog = new KernelLog();

  constructor(facts: HostFacts, place: Place, captures: LiveCaptures) {
    this.facts = facts;
    this.#place = place;
    this.#captures = captures;
    this.initial = place.initial ?? this;
  }

  readFile(path: string): Promise<Reading<string>> {
    return this.#place.view.readFile(path);
  }

  readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    return this.#place.view.readFiles(paths);
  }

  list(directory: string): Promise<Reading<readonly string[]>> {
    return this.#place.view.list(directory);
  }

  run(argv: readonly [string, ...string[]], options?: RunOptions): Promise<Reading<CommandOutput>> {
    return this.#place.view.run(argv, options);
  }

  beginPhase(): void {
    // Only a recording needs to know.
  }

  /** Ends early, without an error, when the signal fires. */
  async wait(ms: number, signal?: AbortSignal): Promise<void> {
    await sleep(Math.max(0, ms), undefined, { ...(signal && { signal }) }).catch(() => undefined);
  }

  now(): number {
    return performance.now();
  }

  kernelLog(): Promise<Reading<readonly string[]>> {
    return this.#kernelLog.next();
  }

  startCapture(options: CaptureOptions): Promise<Reading<RunningCapture>> {
    return this.#captures.start(options);
  }

  async close(): Promise<void> {
    this.#kernelLog.close();
    await this.#captures.close();
    await this.#place.view.close();
    await this.#place.initial?.close();
  }
}
