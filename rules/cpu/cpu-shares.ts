import type { CpuTimes } from '../../checks/cpu.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';

/** How one CPU spent the window. */
export interface CpuShare {
  readonly cpu: number;
  /** Clock ticks of the window. */
  readonly ticks: number;
  readonly softirq: number;
  readonly steal: number;
}

/** Half a second of ticks of 10 ms (USER_HZ): in fewer, one tick is more than 2 %. */
const FEWEST_TICKS = 50;

/** CPUs that were online all the time; `softirq` and `steal` from 0 to 1. */
export function cpuShares({ first, last }: Sampled<CpuTimes>): readonly CpuShare[] {
  const before = new Map(first.cpus.map((cpu) => [cpu.cpu, cpu]));
  return last.cpus.flatMap((now) => {
    const then = before.get(now.cpu);
    const ticks = rise(then?.total, now.total);
    if (ticks < FEWEST_TICKS) return [];
    const share = (from: bigint | undefined, to: bigint) => Math.min(1, rise(from, to) / ticks);
    return {
      cpu: now.cpu,
      ticks,
      softirq: share(then?.softirq, now.softirq),
      steal: share(then?.steal, now.steal),
    };
  });
}

/** A rule of thumb of hosters: above 5 % programs notice, above 15 % they suffer; less is the everyday life of a shared host. */
const STOLEN = 0.05;

/** The CPU that the hypervisor took most time from; undefined: from none so much that it is felt. */
export function starvedCpu(shares: readonly CpuShare[]): CpuShare | undefined {
  const [worst] = [...shares].sort((a, b) => b.steal - a.steal);
  return worst !== undefined && worst.steal >= STOLEN ? worst : undefined;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
