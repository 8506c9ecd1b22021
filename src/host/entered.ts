import type { CommandOutput, RunOptions } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { mapBounded } from '../model/bounded.ts';
import type { ClosableView } from './closable.ts';
import { builtIn } from './built-in.ts';
import { runCommand } from './command.ts';
import { unreadFile } from './errno.ts';
import { listDirectory, readTextFile } from './files.ts';
import { startHolder, type Holder } from './holder.ts';
import type { Namespace } from './namespace.ts';
import { openVisits, type Visits } from './visits.ts';

/** A view on another network namespace than ours. Closing it closes `namespace`. */
export async function enterNamespace(namespace: Namespace): Promise<Reading<ClosableView>> {
  const holder = await startHolder(namespace);
  if (holder.status === 'ok') return ok(new NamespaceView(namespace, holder.value));
  await namespace.close();
  return holder;
}

/** Sysctls per `grep`: far below the kernel's limit on arguments (2 MiB), few enough calls. */
const SYSCTLS_PER_RUN = 2000;

const FILES_AT_ONCE = 8;

class NamespaceView implements ClosableView {
  readonly #namespace: Namespace;
  readonly #holder: Holder;
  #visits: Promise<Reading<Visits>> | undefined;

  constructor(namespace: Namespace, holder: Holder) {
    this.#namespace = namespace;
    this.#holder = holder;
  }

  async readFile(path: string): Promise<Reading<string>> {
    const gone = this.#gone();
    if (gone) return gone;
    if (isNetSysctl(path)) {
      const [reading] = await this.#readSysctls([path]);
      return reading ?? unread('crashed', `${path}: no answer`);
    }
    return readTextFile(this.#reachedBy(path), path);
  }

  async readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    const wanted = [...new Set(paths)];
    const sysctls = wanted.filter(isNetSysctl);
    const others = wanted.filter((path) => !isNetSysctl(path));
    const [ofSysctls, ofOthers] = await Promise.all([
      this.#readSysctls(sysctls),
      mapBounded(others, FILES_AT_ONCE, (path) => this.readFile(path)),
    ]);
    const readings = new Map([
      ...sysctls.map((path, index) => [path, ofSysctls[index]] as const),
      ...others.map((path, index) => [path, ofOthers[index]] as const),
    ]);
    return paths.map((path) => readings.get(path) ?? unread('crashed', `${path}: no answer`));
  }

  async list(directory: string): Promise<Reading<readonly string[]>> {
    const gone = this.#gone();
    if (gone) return gone;
    if (!isNetSysctl(directory)) return listDirectory(this.#reachedBy(directory), directory);

    // Names of sysctls have no line breaks: the kernel allows none in the name of an interface.
    const listing = await this.run(['ls', '-1A', '--', directory]);
    if (listing.status !== 'ok') return listing;
    const { stdout, stderr, exitCode } = listing.value;
    if (exitCode !== 0) return unreadFile(directory, errnoOfMessage(stderr));
    return ok(
      stdout
        .split('\n')
        .filter((name) => name !== '')
        .sort(),
    );
  }

  async run(
    argv: readonly [string, ...string[]],
    options?: RunOptions,
  ): Promise<Reading<CommandOutput>> {
    const gone = this.#gone();
    if (gone) return gone;
    if (builtIn(argv[0]) !== undefined) {
      // Nobody can do it for us there.
      const visits = await (this.#visits ??= openVisits());
      return visits.status === 'ok'
        ? runCommand(argv, options, [], visits.value.to(this.#namespace.fd))
        : visits;
    }
    const output = await runCommand(argv, options, [
      'nsenter',
      `--net=${this.#namespace.path}`,
      '--',
    ]);
    if (
      output.status === 'ok' &&
      output.value.exitCode !== 0 &&
      output.value.stderr.startsWith('nsenter: ')
    ) {
      return unread('absent', `${argv[0]}: not run: ${output.value.stderr.trim()}`);
    }
    return output;
  }

  async close(): Promise<void> {
    await this.#holder.close();
    await this.#namespace.close();
  }

  #gone(): Reading<never> | undefined {
    if (this.#holder.alive) return undefined;
    return unread('absent', 'the helper process in the network namespace has ended');
  }

  /** The path by which we, in our own namespace, see what `path` means in the other one. */
  #reachedBy(path: string): string {
    const { pid } = this.#holder;
    if (isWithin(path, '/proc/net')) return `/proc/${pid}${path.slice('/proc'.length)}`;
    // /sys/class/net is links into /sys/devices. The rest of /sys does not depend on the namespace,
    // and file systems mounted in it (cgroup, tracefs) are not in the holder's copy.
    if (isWithin(path, '/sys/class/net') || isWithin(path, '/sys/devices')) {
      return `/proc/${pid}/root${path}`;
    }
    return path;
  }

  /**
   * /proc/sys/net shows the namespace of the task that reads it, even through /proc/<pid>/root
   * (net_ctl_header_lookup looks at current->nsproxy), so a child in the namespace must read.
   */
  async #readSysctls(paths: readonly string[]): Promise<readonly Reading<string>[]> {
    const readings: Reading<string>[] = [];
    for (let start = 0; start < paths.length; start += SYSCTLS_PER_RUN) {
      const batch = paths.slice(start, start + SYSCTLS_PER_RUN);
      // Every line of every file, as `<path> NUL <line>`. Errors are on stderr.
      const output = await this.run(['grep', '-aHZ', '--', '', ...batch]);
      readings.push(
        ...(output.status === 'ok' ? parseGrep(batch, output.value) : batch.map(() => output)),
      );
    }
    return readings;
  }
}

function isNetSysctl(path: string): boolean {
  return isWithin(path, '/proc/sys/net');
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** One reading per path, from the output of `grep -aHZ -- '' paths…`. */
export function parseGrep(
  paths: readonly string[],
  output: Pick<CommandOutput, 'stdout' | 'stderr'>,
): readonly Reading<string>[] {
  const texts = new Map<string, string>();
  for (const line of output.stdout.split('\n')) {
    const end = line.indexOf('\0');
    if (end === -1) continue;
    const path = line.slice(0, end);
    texts.set(path, `${texts.get(path) ?? ''}${line.slice(end + 1)}\n`);
  }
  const complaints = new Map<string, string>();
  for (const line of output.stderr.split('\n')) {
    const [, path, message] = /^grep: (.*): ([^:]*)$/.exec(line) ?? [];
    if (path !== undefined && message !== undefined) complaints.set(path, message);
  }
  return paths.map((path) => {
    const complaint = complaints.get(path);
    if (complaint !== undefined) return unreadFile(path, errnoOfMessage(complaint));
    // Neither a line nor a complaint: an empty file.
    return ok(texts.get(path) ?? '');
  });
}

/** The errno that a program of the C locale means, or its own words. */
function errnoOfMessage(message: string): string {
  const known = [
    ['No such file or directory', 'ENOENT'],
    ['Not a directory', 'ENOTDIR'],
    ['Permission denied', 'EACCES'],
    ['Operation not permitted', 'EPERM'],
    ['Is a directory', 'EISDIR'],
  ] as const;
  const found = known.find(([words]) => message.includes(words));
  return found?.[1] ?? message.trim();
}
