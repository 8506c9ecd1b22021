import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';

import { ok, unread, type Reading, type Unread } from '../model/reading.ts';
import { COMMAND_ENVIRONMENT, runCommand } from './command.ts';
import type { Namespace } from './namespace.ts';

/**
 * A process that sits in another network namespace, with a mount namespace of its own in which /sys
 * shows the devices of that namespace. `/proc/<pid>/net` and `/proc/<pid>/root/sys` then show them to us.
 */
export interface Holder {
  readonly pid: number;
  /** False when somebody ended it: its pid may by now be that of another process. */
  readonly alive: boolean;
  close(): Promise<void>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const START_TIMEOUT_MS = 5000;

/** Private: no mount of ours may reach the mount namespace we came from. */
const PRIVATE_MOUNTS = ['unshare', '--mount', '--propagation', 'private', '--'] as const;

/** A holder in another network namespace, whose /sys shows the devices there. */
export async function startHolder(namespace: Namespace): Promise<Reading<Holder>> {
  const holder = await startCat(
    ['nsenter', `--net=${namespace.path}`, '--', ...PRIVATE_MOUNTS],
    'the network namespace cannot be entered',
  );
  if (holder.status !== 'ok') return holder;
  const mounted = await mountSysfs(holder.value.pid);
  if (mounted.status === 'ok') return holder;
  await holder.value.close();
  return mounted;
}

/** A holder of nothing but mounts of its own, in our network namespace. */
export function startMountHolder(): Promise<Reading<Holder>> {
  return startCat(PRIVATE_MOUNTS, 'a mount namespace cannot be made');
}

/**
 * The holder is `cat`: it ends when the pipe to it closes, and the kernel closes our end even when we
 * are killed. The mounts go with its last process. So nothing can be left behind.
 */
async function startCat(
  [program, ...wrapper]: readonly [string, ...string[]],
  trouble: string,
): Promise<Reading<Holder>> {
  const child = spawn(program, [...wrapper, 'cat'], {
    cwd: '/',
    env: COMMAND_ENVIRONMENT,
    stdio: ['pipe', 'pipe', 'pipe'],
    // Its own session: Ctrl-C ends the window, after which we still read the last counters.
    detached: true,
  });
  const started = await untilEcho(child, trouble);
  if (started.status === 'ok') return ok(new CatHolder(child, started.value));
  child.kill('SIGKILL');
  return started;
}

class CatHolder implements Holder {
  readonly pid: number;
  readonly #child: Child;

  constructor(child: Child, pid: number) {
    this.#child = child;
    this.pid = pid;
    // A host that nobody closed must not keep whydrop from ending.
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      if (stream instanceof Socket) stream.unref();
    }
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async close(): Promise<void> {
    if (!this.alive) return;
    this.#child.ref();
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** `cat` echoes a line once nsenter and unshare have become it. Gives its process id. */
async function untilEcho(child: Child, trouble: string): Promise<Reading<number>> {
  return new Promise((resolve) => {
    let complaint = '';
    const timer = setTimeout(() => {
      resolve(unread('timeout', `${trouble}: no answer within 5 s`));
    }, START_TIMEOUT_MS);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve(unread('absent', `${trouble}: ${error.message}`));
    });
    child.on('close', () => {
      clearTimeout(timer);
      resolve(unreadComplaint(complaint, trouble));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    child.stdout.once('data', () => {
      clearTimeout(timer);
      resolve(child.pid === undefined ? unread('crashed', `${trouble}: no pid`) : ok(child.pid));
    });
    // The child may be gone before it reads: 'close' tells that, with what it printed.
    child.stdin.on('error', () => undefined);
    child.stdin.write('ready\n');
  });
}

/**
 * A sysfs mount shows the network namespace of the process that made it. Not `-o ro`: that would
 * mark the superblock, which later mounts for the same namespace share.
 */
async function mountSysfs(pid: number): Promise<Reading<null>> {
  const mount = await runCommand(
    ['mount', '-t', 'sysfs', '-o', 'nosuid,nodev,noexec', 'sysfs', '/sys'],
    {},
    ['nsenter', '--target', String(pid), '--mount', '--net', '--'],
  );
  if (mount.status !== 'ok') return mount;
  if (mount.value.exitCode === 0) return ok(null);
  return unreadComplaint(mount.value.stderr, 'the devices of the network namespace cannot be seen');
}

function unreadComplaint(stderr: string, what: string): Unread {
  const complaint = stderr.trim().split('\n')[0] ?? '';
  if (/not permitted|permission denied/i.test(complaint)) {
    const help = process.geteuid?.() === 0 ? 'not permitted, even for root' : 'run whydrop as root';
    return unread('denied', `${what}; ${help} (${complaint})`);
  }
  // setns(2): the file is a namespace of another kind.
  const status = complaint.includes('Invalid argument') ? 'malformed' : 'absent';
  return unread(status, `${what} (${complaint})`);
}
