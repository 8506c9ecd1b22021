import type { Links } from '../../checks/link.ts';
import type { Softnet } from '../../checks/softnet.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import type { DropCapture, DropCount } from '../../src/model/drops.ts';
import type { JudgeWindow } from '../../src/model/rule.ts';
import { rxDroppedTotal } from '../link-rises.ts';
import { dropsWhere } from '../protocol-counters.ts';

/** What one CPU did in the window. */
export interface SoftnetRise {
  readonly cpu: number;
  readonly processed: number;
  /** Refused by the queue of this CPU, for whatever reason. */
  readonly dropped: number;
  /**
   * Refused because one flow filled the queue. Counted on the CPU that passed the packets on, while
   * `dropped` counts the same packets on the CPU they were meant for (enqueue_to_backlog,
   * skb_flow_limit; measured on 6.18): only the sums over all CPUs can be subtracted.
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
      processed: rise(then?.processed, cpu.processed, 32),
      dropped: rise(then?.dropped, cpu.dropped, 32),
      flowLimited: rise(then?.flowLimit, cpu.flowLimit, 32),
      timeSqueeze: rise(then?.timeSqueeze, cpu.timeSqueeze, 32),
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

/**
 * Packets refused by the input queues, as far as they can have been of the namespace under diagnosis:
 * softnet counts for the whole machine, but a capture that tells namespaces sees whose they were. Without one,
 * enqueue_to_backlog also raises rx_dropped of the interface the packet came in by, which belongs to one namespace.
 */
export function refusedHere(
  rises: readonly SoftnetRise[],
  {
    link,
    drops,
  }: { readonly link: Sampled<Links> | undefined; readonly drops: DropCapture | undefined },
  { foreignNetns, severalNetns }: JudgeWindow,
): Readonly<Record<'queueFull' | 'flowLimited', number>> {
  const seenHere =
    drops !== undefined && !severalNetns ? dropsWhere(drops, isRefused).packets : undefined;
  const placeable = foreignNetns ? (seenHere ?? rxDroppedTotal(link)) : Infinity;
  const heldBack = sumOf(rises, 'flowLimited');
  const queueFull = Math.min(Math.max(0, sumOf(rises, 'dropped') - heldBack), placeable);
  return { queueFull, flowLimited: Math.min(heldBack, placeable - queueFull) };
}

function isRefused({ reason, location }: DropCount): boolean {
  return reason === 'CPU_BACKLOG' || (reason === null && location === 'enqueue_to_backlog');
}
