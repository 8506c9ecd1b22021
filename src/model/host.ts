import type { DropCapture } from './drops.ts';
import type { Reading } from './reading.ts';

/**
 * One network namespace of a machine, read-only. Paths are absolute.
 * Reads of `/proc/net`, `/proc/sys/net` and `/sys/class/net` answer for that namespace.
 */
export interface View {
  /** The whole text of one file, at most 64 MiB. */
  readFile(path: string): Promise<Reading<string>>;
  /** Many small files at once (sysctls): one answer per path, in the order asked. */
  readFiles(paths: readonly string[]): Promise<readonly Reading<string>[]>;
  /** Names in a directory, sorted. */
  list(directory: string): Promise<Reading<readonly string[]>>;
  /** Runs a program without a shell, with a fixed PATH and LC_ALL=C. A non-zero exit is not a failed reading. */
  run(argv: readonly [string, ...string[]], options?: RunOptions): Promise<Reading<CommandOutput>>;
}

export interface RunOptions {
  /** Default 5,000. */
  readonly timeoutMs?: number;
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** The machine under diagnosis: live, recorded, or replayed. All reads of whydrop go through it. */
export interface Host extends View {
  /**
   * The initial network namespace. Some settings and counters exist only there
   * (`netdev_max_backlog`, `rmem_default`, `nf_conntrack_max`; KNOWLEDGE.md section 1, rule 8).
   * The same view as the host itself when no other namespace was asked for.
   */
  readonly initial: View;
  readonly facts: HostFacts;
  /** Tells a recording which readings belong together. The live host ignores it. */
  beginPhase(phase: Phase): void;
  /** Lets `ms` pass; a replay returns at once. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** Milliseconds of a monotonic clock; a replay plays the recorded window back. */
  now(): number;
  /**
   * What the kernel logged since the call before, oldest first; the first call has none. One log for all
   * namespaces. Messages are untrusted, and limited in rate by the kernel: none proves nothing.
   */
  kernelLog(): Promise<Reading<readonly string[]>>;
  /** Starts watching drops. */
  startCapture(options: CaptureOptions): Promise<Reading<RunningCapture>>;
  /** Releases what the host holds (helper processes, mounts). Idempotent. */
  close(): Promise<void>;
}

export type Phase = 'facts' | 'first' | `sample-${number}` | 'last';

export interface HostFacts {
  readonly hostname: string;
  /** `uname -r`. */
  readonly kernel: string;
  /** PRETTY_NAME of /etc/os-release, or an empty string. */
  readonly distribution: string;
  /** True for a replay. */
  readonly recorded: boolean;
  /** As the user named it (`--netns`); null: the namespace whydrop runs in. */
  readonly netns: string | null;
  /** How many network namespaces the machine has, as far as we can see. Null: could not tell. */
  readonly netnsCount: number | null;
  /** Inode number of the namespace under diagnosis. Null: could not tell. */
  readonly netnsInode: number | null;
  readonly cpuCount: number;
  readonly root: boolean;
}

export interface CaptureOptions {
  /** `auto`: BPF, or tracefs where that is not possible. */
  readonly backend: 'auto' | 'bpf' | 'tracefs';
  /**
   * Inode number of the only network namespace whose drops are wanted, those of no known namespace
   * beside them. BPF selects in the kernel and says how many others there were; tracefs cannot.
   */
  readonly netns?: number;
}

/** All network namespaces of a machine, each a host of its own. */
export interface Machine {
  /** The initial one, which stands for the machine itself: captures run here. */
  readonly initial: Site;
  readonly others: readonly Site[];
  /** Namespaces that exist, but could not be entered. */
  readonly closed: readonly ClosedSite[];
  close(): Promise<void>;
}

export interface Site {
  /** For people, unlike any other; untrusted. Null: that of the machine itself. */
  readonly name: string | null;
  /** `facts.netns` is what `--netns` takes to get here. */
  readonly host: Host;
}

export interface ClosedSite {
  readonly name: string;
  readonly inode: number;
  /** One plain sentence. */
  readonly reason: string;
}

export interface RunningCapture {
  /**
   * Marks a moment of the window. Drops before `window-open` or after `window-close` are counted
   * as edge packets: they may or may not be in the counters, which are read around those moments.
   */
  mark(moment: 'window-open' | 'window-close'): void;
  /** Ends the capture, removes every trace of it, and returns what was seen. */
  stop(): Promise<Reading<DropCapture>>;
}
