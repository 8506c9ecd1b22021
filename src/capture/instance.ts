import { readFileSync, readdirSync, rmdirSync } from 'node:fs';

/**
 * A tracefs instance has buffers, clock and switches of its own, so captures disturb neither each
 * other nor the administrator's own tracing. Its name tells which process it belongs to; the start
 * time makes that hold although process ids are reused.
 */
export function instanceName(pid: number, startTime: string): string {
  return `whydrop-${pid}-${startTime}`;
}

const namePattern = /^whydrop-(\d{1,10})-(\d{1,20})$/;

/**
 * When a process started, in clock ticks since boot (proc_pid_stat(5), field 22). Undefined: no such process.
 *
 * @param proc another directory than /proc is for tests
 */
export function processStartTime(pid: number, proc = '/proc'): string | undefined {
  try {
    const stat = readFileSync(`${proc}/${pid}/stat`, 'utf8');
    // The process name, field 2, may itself hold blanks and parentheses.
    const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return afterName[22 - 3];
  } catch {
    return undefined;
  }
}

/**
 * Removes the instances of runs that were killed, and only those. A run in another pid namespace looks
 * dead from here; it is safe all the same, because the kernel refuses (EBUSY) while its files are open.
 */
export function removeStaleInstances(instances: string, proc = '/proc'): void {
  for (const name of readdirSync(instances)) {
    const [, pid, startTime] = namePattern.exec(name) ?? [];
    if (pid === undefined || processStartTime(Number(pid), proc) === startTime) continue;
    try {
      rmdirSync(`${instances}/${name}`);
    } catch {
      // In use, or another whydrop was faster.
    }
  }
}

const mebibyte = 2 ** 20;

/**
 * Ring buffer of one CPU. An event takes 36 to 48 bytes: 8 MiB hold some 180,000 of them, a third of a
 * second of a storm of 500,000 drops a second on one CPU. 64 MiB in total, but never less than 1 MiB a CPU, which
 * hosts of more than 64 CPUs can afford.
 */
export function ringBytes(cpus: number): number {
  return Math.min(8 * mebibyte, Math.max(mebibyte, Math.floor((64 * mebibyte) / cpus)));
}

/**
 * Events of one CPU that never reached us, from `per_cpu/cpuN/stats`: overwritten, refused by a full
 * buffer, lost to an interrupted write, and those still in the buffer at the end (a CPU that came
 * online during the capture, or one we could not read).
 */
export function lostEvents(stats: string): number {
  let lost = 0;
  for (const [, count] of stats.matchAll(
    /^(?:overrun|commit overrun|dropped events|entries): (\d+)$/gm,
  )) {
    lost += Number(count);
  }
  return lost;
}
