import type { CommandOutput, Host, HostFacts, View } from '../../../src/model/host.ts';
import { ok, unread, type Reading, type Unread } from '../../../src/model/reading.ts';

/** What a machine would answer. Everything else is absent. */
export interface FakeMachine {
  /** Path → text, or why it cannot be read. Directories follow from the paths. */
  readonly files?: Readonly<Record<string, string | Unread>>;
  /** Command line, words joined by blanks → standard output, full output, or why it does not run. */
  readonly commands?: Readonly<Record<string, string | Partial<CommandOutput> | Unread>>;
}

export interface FakeHostOptions extends FakeMachine {
  /** The initial namespace, where it differs. Default: this one, unless the facts name another. */
  readonly initial?: FakeMachine;
  readonly facts?: Partial<HostFacts>;
  readonly kernelLog?: Reading<readonly string[]>;
}

/** A host from literals, for tests of checks. Has no capture; time stands still. */
export function fakeHost(options: FakeHostOptions): Host {
  const other = options.initial ?? (typeof options.facts?.netns === 'string' ? {} : undefined);
  const initial = other === undefined ? undefined : fakeView(other);
  const host: Host = {
    ...fakeView(options),
    get initial() {
      return initial ?? host;
    },
    facts: {
      hostname: 'fake',
      kernel: '6.18.0',
      distribution: '',
      recorded: false,
      netns: null,
      netnsCount: 1,
      netnsInode: null,
      cpuCount: 2,
      root: true,
      ...options.facts,
    },
    beginPhase() {},
    wait: () => Promise.resolve(),
    now: () => 0,
    kernelLog: () =>
      Promise.resolve(options.kernelLog ?? unread('absent', 'A fake host has no log.')),
    startCapture: () => Promise.resolve(unread('absent', 'A fake host has no capture.')),
    close: () => Promise.resolve(),
  };
  return host;
}

function fakeView({ files = {}, commands = {} }: FakeMachine): View {
  const readFile = (path: string): Promise<Reading<string>> => {
    const file = files[path] ?? unread('absent', `${path} is not there.`);
    return Promise.resolve(typeof file === 'string' ? ok(file) : file);
  };
  return {
    readFile,
    readFiles: (paths) => Promise.all(paths.map(readFile)),
    list(directory) {
      const below = Object.keys(files).filter((path) => path.startsWith(`${directory}/`));
      const names = below.map((path) => path.slice(directory.length + 1).split('/')[0] ?? '');
      return Promise.resolve(
        names.length === 0
          ? unread('absent', `${directory} is not there.`)
          : ok([...new Set(names)].sort()),
      );
    },
    run(argv) {
      const answer = commands[argv.join(' ')] ?? unread('absent', `${argv[0]} is not installed.`);
      if (typeof answer === 'object' && 'status' in answer) return Promise.resolve(answer);
      const output = typeof answer === 'string' ? { stdout: answer } : answer;
      return Promise.resolve(ok({ stdout: '', stderr: '', exitCode: 0, ...output }));
    },
  };
}
