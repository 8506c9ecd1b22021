import { defineCheck } from '../src/model/check.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

const path = '/proc/stat';

/** How the CPUs that are online spent their time. The same in every network namespace. */
export interface CpuTimes {
  readonly cpus: readonly CpuTime[];
}

/** Clock ticks (USER_HZ, 10 ms as a rule) since boot. */
export interface CpuTime {
  readonly cpu: number;
  /** All of them, idle ones included. */
  readonly total: bigint;
  /** Soft interrupts: packet processing, timers, block devices. Without threaded NAPI, which is a thread. */
  readonly softirq: bigint;
  /** The hypervisor ran something else though this CPU had work. 0 where it does not tell. */
  readonly steal: bigint;
}

export default defineCheck<CpuTimes>({
  id: 'cpu',
  title: 'How the CPUs spent their time',
  sources: [path],
  async read(host) {
    const text = await host.readFile(path);
    return text.status === 'ok' ? parseCpuTimes(text.value) : text;
  },
});

/**
 * Lines `cpuN user nice system idle iowait irq softirq steal guest guest_nice` (fs/proc/stat.c
 * show_stat, Linux 6.18). Time of guests is in `user` already.
 */
export function parseCpuTimes(text: string): Reading<CpuTimes> {
  const cpus = text.split('\n').flatMap((line): CpuTime[] => {
    const match = /^cpu(\d{1,6}) (\d{1,20}(?: \d{1,20}){7,})$/.exec(line.trimEnd());
    const ticks = (match?.[2] ?? '').split(' ').slice(0, 8);
    const [softirq, steal] = ticks.slice(6).map(BigInt);
    if (match === null || softirq === undefined || steal === undefined) return [];
    const total = ticks.reduce((sum, tick) => sum + BigInt(tick), 0n);
    return [{ cpu: Number(match[1]), total, softirq, steal }];
  });
  return cpus.length === 0
    ? unread('malformed', `${path} has no line of a CPU that can be read.`)
    : ok({ cpus });
}
