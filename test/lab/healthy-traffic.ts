import { start } from './command.ts';
import { HTTP_CLIENTS } from './healthy-programs.ts';
import { inside, RECEIVER, type Pair } from './network.ts';
import type { Done } from './workload.ts';

export const TRAFFIC_MS = 3000;
/** Enough where several kinds of traffic run at once. */
export const SHORT_MS = 1000;

/** Runs `node -e` or `perl -e` in a namespace to its end. @returns the number it printed last */
export async function client(
  netns: string,
  interpreter: 'node' | 'perl',
  program: string,
  ...args: readonly (string | number)[]
): Promise<number> {
  const child = startProgram(netns, interpreter, program, args);
  const { stdout, stderr, exitCode } = await child;
  if (exitCode !== 0) throw new Error(`a client failed: ${stderr}`);
  return lastNumber(stdout);
}

/** @returns the number it printed last */
type Stop = () => Promise<number>;

/** Starts a server in a namespace; resolves when it says `ready`. The pair's clean-up stops it. */
export async function server(
  { cleanUp }: Pair,
  netns: string,
  interpreter: 'node' | 'perl',
  program: string,
  ...args: readonly (string | number)[]
): Promise<Stop> {
  const child = startProgram(netns, interpreter, program, args);
  const stop = async (): Promise<number> => {
    child.kill('SIGTERM');
    const { stdout } = await child;
    return lastNumber(stdout);
  };
  cleanUp.add(stop);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('a server did not start')));
  });
  return stop;
}

function startProgram(
  netns: string,
  interpreter: 'node' | 'perl',
  program: string,
  args: readonly (string | number)[],
) {
  return start('ip', ['netns', 'exec', netns, interpreter, '-e', program, ...args.map(String)]);
}

function lastNumber(stdout: string): number {
  return Number(stdout.trim().split('\n').at(-1));
}

/** Whole HTTP answers, one connection each. */
export async function httpRequests({ a }: Pair, ms = TRAFFIC_MS, server = RECEIVER): Promise<Done> {
  const count = await client(a, 'node', HTTP_CLIENTS, server, 8080, ms);
  return { count, what: 'HTTP answers', atLeast: ms / 60 };
}

/** Replies that `ping` counted. */
export async function ping(netns: string, options: string): Promise<number> {
  // It fails without any, which may be what is wanted.
  const text = await inside(netns, `ping -q ${options}`).catch(String);
  return Number(/(\d+) received/.exec(text)?.[1] ?? Number.NaN);
}

export async function rxPackets(netns: string, iface: string): Promise<number> {
  return Number(await inside(netns, `cat /sys/class/net/${iface}/statistics/rx_packets`));
}
