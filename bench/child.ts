import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';

export type Child = ChildProcessWithoutNullStreams;

const running = new Set<Child>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

/** As spawn(), with pipes, and the child goes when we do. */
export function startChild(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Child {
  const child = spawn(program, args, { env });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}
