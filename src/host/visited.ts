import { closeSync } from 'node:fs';
import process from 'node:process';

import type { CommandOutput, RunOptions } from '../model/host.ts';
import { ok, type Reading } from '../model/reading.ts';
import type { ClosableView } from './closable.ts';
import { runCommand } from './command.ts';
import { listDirectory, readTextFile } from './files.ts';
import type { Namespace } from './namespace.ts';
import type { Visits, Within } from './visits.ts';

/** A view on another network namespace, which is visited for each reading. Closing it closes `namespace`. */
export function visitNamespace(namespace: Namespace, visits: Visits): Reading<ClosableView> {
  const sysfs = visits.mountSysfs(namespace.fd);
  return sysfs.status === 'ok'
    ? ok(new VisitedView(namespace, visits.to(namespace.fd), sysfs.value))
    : sysfs;
}

class VisitedView implements ClosableView {
  readonly #namespace: Namespace;
  readonly #within: Within;
  #sysfs: number | null;

  constructor(namespace: Namespace, within: Within, sysfs: number) {
    this.#namespace = namespace;
    this.#within = within;
    this.#sysfs = sysfs;
  }

  readFile(path: string): Promise<Reading<string>> {
    return readTextFile(this.#reachedBy(path), path, this.#within);
  }

  /** One after the other: they are read in place. */
  async readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    const readings: Reading<string>[] = [];
    for (const path of paths) readings.push(await this.readFile(path));
    return readings;
  }

  list(directory: string): Promise<Reading<readonly string[]>> {
    return listDirectory(this.#reachedBy(directory), directory, this.#within);
  }

  run(argv: readonly [string, ...string[]], options?: RunOptions): Promise<Reading<CommandOutput>> {
    return runCommand(argv, options, [], this.#within);
  }

  async close(): Promise<void> {
    if (this.#sysfs !== null) closeSync(this.#sysfs);
    this.#sysfs = null;
    await this.#namespace.close();
  }

  /** The path by which the visiting thread sees what `path` means there. */
  #reachedBy(path: string): string {
    // Not /proc/net: that is the one of the main thread, also for other threads.
    if (path === '/proc/net' || path.startsWith('/proc/net/')) {
      return `/proc/thread-self${path.slice('/proc'.length)}`;
    }
    // File systems that are mounted in /sys (cgroup, tracefs) are not in our mount of it.
    if (/^\/sys\/(?:class\/net|devices)(?:\/|$)/.test(path) && this.#sysfs !== null) {
      return `/proc/${process.pid}/fd/${this.#sysfs}${path.slice('/sys'.length)}`;
    }
    return path;
  }
}
