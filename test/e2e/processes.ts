import { execa } from 'execa';
import { access, readFile, readdir } from 'node:fs/promises';

/** Process ids of all that `pid` has started, and they in turn. */
export async function descendants(pid: number): Promise<readonly number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The process name, field 2, may hold blanks and parentheses; field 4 is the parent.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    parents.set(Number(name), parent);
  }
  const found = [pid];
  for (const ancestor of found) {
    for (const [child, parent] of parents) if (parent === ancestor) found.push(child);
  }
  return found.slice(1);
}

export async function isAlive(pid: number): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}

/** tracefs instances of whydrop, through a mount that nobody else sees. */
export async function tracefsInstances(): Promise<readonly string[]> {
  const look = 'mount -t tracefs tracefs /sys/kernel/tracing && ls /sys/kernel/tracing/instances';
  const { stdout } = await execa('unshare', ['--mount', 'sh', '-c', look]);
  return stdout.split('\n').filter((name) => name.startsWith('whydrop-'));
}

/** Ids of the BPF programs that a process holds. */
export async function bpfPrograms(pid: number): Promise<readonly number[]> {
  const directory = `/proc/${pid}/fdinfo`;
  const ids = new Set<number>();
  for (const fd of await readdir(directory)) {
    const text = await readFile(`${directory}/${fd}`, 'utf8').catch(() => '');
    const id = /^prog_id:\s*(\d+)$/m.exec(text)?.[1];
    if (id !== undefined) ids.add(Number(id));
  }
  return [...ids];
}

/** Waits until none of the programs is in the kernel: it frees them a moment after their last holder ends. */
export async function bpfUnloaded(ids: readonly number[]): Promise<void> {
  for (const id of ids) {
    await eventually(`BPF program ${id} is unloaded`, async () => {
      const show = ['prog', 'show', 'id', String(id)];
      const { exitCode } = await execa('/usr/sbin/bpftool', show, { reject: false });
      return exitCode !== 0;
    });
  }
}

/** Asks again and again: processes end, and the kernel frees, a moment later. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 5000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
  }
}
