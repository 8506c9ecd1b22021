import type { Softnet } from '../../checks/softnet.ts';
import { riseU32 } from '../../checks/u32.ts';
import type { Sampled } from '../../src/model/check.ts';

/** What one CPU did in the window. */
export interface SoftnetRise {
  readonly cpu: number;
  readonly processed: number;
  /** Refused by the queue of this CPU, for whatever reason. */
  readonly dropped: number;
  /**
   * Refused because one flow filled the queue. Counted on the CPU that sent the packets on, while
   * `dropped` counts them too, on the CPU they were meant for (enqueue_to_backlog, skb_flow_limit).
   */
  readonly flowLimited: number;
  readonly timeSqueeze: number;
}

/** CPUs that are online at both ends of the window. */
export function softnetRises({ first, last }: Sampled<Softnet>): readonly SoftnetRise[] {
  const before = new Map(first.cpus.map((cpu) => [cpu.cpu, cpu]));
  return last.cpus.map((cpu) => {
    const then = before.get(cpu.cpu);
    return {
      cpu: cpu.cpu,
      processed: riseU32(then?.processed, cpu.processed),
      dropped: riseU32(then?.dropped, cpu.dropped),
      flowLimited: riseU32(then?.flowLimit, cpu.flowLimit),
      timeSqueeze: riseU32(then?.timeSqueeze, cpu.timeSqueeze),
    };
  });
}

export type SoftnetColumn = Exclude<keyof SoftnetRise, 'cpu'>;

export function sumOf(rises: readonly SoftnetRise[], column: SoftnetColumn): number {
  return rises.reduce((sum, rise) => sum + rise[column], 0);
}

/** The CPU with the highest rise of a column; undefined when nothing rose. */
export function worstCpu(
  rises: readonly SoftnetRise[],
  column: SoftnetColumn,
): SoftnetRise | undefined {
  const worst = [...rises].sort((a, b) => b[column] - a[column])[0];
  return worst !== undefined && worst[column] > 0 ? worst : undefined;
}
