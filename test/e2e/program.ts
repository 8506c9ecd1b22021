import { execa } from 'execa';
import { fileURLToPath } from 'node:url';

/** The built program, as npm installs it. */
export const PROGRAM = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export const isRoot = process.getuid?.() === 0;

const NOBODY = '65534';

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>;
  /** Without root, whoever runs the tests. */
  readonly asNobody?: boolean;
  readonly cwd?: string;
  /** A command that runs the program: `unshare`, `setpriv` …, with its arguments. */
  readonly prefix?: readonly string[];
}

/** Starts the program as a user would, without a terminal and with nothing of our environment. */
export function start(
  args: readonly string[],
  { env = {}, asNobody = false, cwd, prefix = [] }: Options = {},
) {
  const command = [process.execPath, PROGRAM, ...args];
  const drop = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--'];
  const [file = '', ...rest] = [...prefix, ...(asNobody && isRoot ? drop : []), ...command];
  return execa(file, rest, {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
    timeout: 50_000,
    killSignal: 'SIGKILL',
    ...(cwd === undefined ? {} : { cwd }),
  });
}

export async function whydrop(args: readonly string[], options: Options = {}): Promise<Ended> {
  const { exitCode, signal, stdout, stderr } = await start(args, options);
  if (exitCode === undefined) throw new Error(`whydrop was killed by ${signal ?? '?'}: ${stderr}`);
  return { exitCode, stdout, stderr };
}

/** Runs a line of shell in which `$WHYDROP` is the program: for redirections and pipes. */
export async function shell(line: string, env: Readonly<Record<string, string>> = {}) {
  const { exitCode, stdout, stderr } = await execa('bash', ['-c', line], {
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      WHYDROP: `${process.execPath} ${PROGRAM}`,
      ...env,
    },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
    timeout: 50_000,
  });
  return { exitCode: exitCode ?? -1, stdout, stderr };
}
