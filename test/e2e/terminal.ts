import headless from '@xterm/headless';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { quoteArgv } from '../../src/model/shell-quote.ts';
import { PROGRAM } from './program.ts';

export interface TerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Put in front of the program: `ip netns exec b`. */
  readonly prefix?: readonly string[];
  /** Put behind it as it is: `> file`. */
  readonly suffix?: string;
}

/** Longer than a session's window and second measurement on a busy machine. */
const PATIENCE_MS = 25_000;

/** whydrop on a pseudo-terminal: keys in, screen out. */
export class Terminal {
  readonly pid: number;
  /** Exit code; 128 and the signal's number for one that was killed. */
  readonly ended: Promise<number>;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #screen: InstanceType<typeof headless.Terminal>;
  readonly #changed = new EventTarget();
  #raw = '';

  constructor(args: readonly string[], options: TerminalOptions = {}) {
    const { columns = 100, rows = 40, env = {}, prefix = [], suffix = '' } = options;
    this.#screen = new headless.Terminal({
      cols: columns,
      rows,
      scrollback: 5000,
      allowProposedApi: true,
    });
    const command = quoteArgv([...prefix, process.execPath, PROGRAM, ...args]);
    const line = `stty cols ${columns} rows ${rows}; exec ${command} ${suffix}`;
    this.#child = spawn('script', ['-qefc', line, '/dev/null'], {
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        TERM: 'xterm-256color',
        LANG: 'C.UTF-8',
        ...env,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.pid = this.#child.pid ?? -1;
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#raw += text;
      this.#screen.write(text, () => this.#changed.dispatchEvent(new Event('change')));
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.#changed.dispatchEvent(new Event('change'));
        resolve(code ?? -1);
      });
    });
  }

  /** What a user sees now. */
  screen(): string {
    const { baseY } = this.#screen.buffer.active;
    return this.#lines().slice(baseY).join('\n');
  }

  /** All that ever stood there and was not wiped away. */
  transcript(): string {
    return this.#lines().join('\n').trimEnd();
  }

  /** Every byte that came, escape sequences included. */
  raw(): string {
    return this.#raw;
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  /** Resolves when the screen shows it. @throws with the screen, when that takes too long or it ends */
  async waitFor(wanted: RegExp): Promise<void> {
    await this.#until(() => wanted.test(this.screen()), String(wanted));
  }

  /** Moves down a list to the entry that begins so, and takes it. */
  async choose(question: RegExp, entry: string): Promise<void> {
    await this.waitFor(new RegExp(`^\\? [^]*${question.source}[^]*\\n❯ `, 'm'));
    const selected = (): string => /^❯ (.*)$/m.exec(this.screen())?.[1] ?? '';
    const seen = new Set<string>();
    while (!selected().startsWith(entry)) {
      const before = selected();
      if (seen.has(before)) throw new Error(`no entry ${entry}:\n${this.screen()}`);
      seen.add(before);
      this.type(keys.down);
      await this.#until(() => selected() !== before, `an entry after ${before}`);
    }
    this.type(keys.enter);
    await this.#until(() => !this.screen().includes(`❯ ${entry}`), `${entry} to be taken`);
  }

  /** Ends it, if a failed test left it running. */
  close(): void {
    this.#child.kill('SIGKILL');
  }

  #lines(): string[] {
    const { active } = this.#screen.buffer;
    return Array.from(
      { length: active.length },
      (_, row) => active.getLine(row)?.translateToString(true) ?? '',
    );
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const done = (outcome: () => void): void => {
        clearTimeout(timer);
        this.#changed.removeEventListener('change', look);
        outcome();
      };
      const look = (): void => {
        if (holds()) done(resolve);
        else if (this.#child.exitCode !== null) done(() => reject(this.#missing(what, 'ended')));
      };
      const timer = setTimeout(() => {
        done(() => reject(this.#missing(what, 'waited in vain')));
      }, PATIENCE_MS);
      this.#changed.addEventListener('change', look);
    });
  }

  #missing(what: string, how: string): Error {
    return new Error(`${how} for ${what}; the screen:\n${this.transcript()}`);
  }
}

export const keys = {
  enter: '\r',
  down: '\x1b[B',
  ctrlC: '\x03',
  ctrlD: '\x04',
} as const;
