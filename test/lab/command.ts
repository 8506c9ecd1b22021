import { execa } from 'execa';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const environment = { env: { PATH, LC_ALL: 'C', HOME: '/root' }, extendEnv: false };

/** Runs `ip netns add b` and the like; a failure fails the test with what the tool said. */
export async function run(line: string, input?: string): Promise<string> {
  const [program = '', ...args] = line.split(' ');
  const { stdout } = await execa(program, args, {
    ...environment,
    timeout: 30_000,
    ...(input === undefined ? {} : { input }),
  });
  return stdout;
}

/** Starts something that goes on (a server, a stream of packets); it ends by itself in the end. */
export function start(program: string, args: readonly string[]) {
  return execa(program, args, { ...environment, reject: false, timeout: 110_000 });
}
