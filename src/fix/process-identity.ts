import { readTextFile } from '../host/files.ts';

/**
 * When a process started, in clock ticks since boot (field 22 of /proc/PID/stat), or undefined if
 * there is no such process. Process ids are used again; pid and start together are not.
 */
export async function processStart(pid: number | 'self'): Promise<string | undefined> {
  const stat = await readTextFile(`/proc/${pid}/stat`);
  if (stat.status !== 'ok') return undefined;
  // The name is in parentheses and may hold anything, `) 1 2` included: fields count from the last one.
  const fields = stat.value.slice(stat.value.lastIndexOf(')') + 2).split(' ');
  return fields[19];
}

/** Differs after every boot; empty where the kernel does not say. */
export async function readBootId(): Promise<string> {
  const id = await readTextFile('/proc/sys/kernel/random/boot_id');
  return id.status === 'ok' ? id.value.trim() : '';
}
