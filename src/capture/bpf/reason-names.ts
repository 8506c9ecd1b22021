import { readFileSync, readdirSync } from 'node:fs';
import type { ReasonNames } from '../reasons.ts';
import { Btf } from './btf.ts';

const btfDirectory = '/sys/kernel/btf';

export interface KernelReasons {
  readonly names: ReasonNames;
  /** `OPENVSWITCH`, by number. */
  readonly subsystems: ReadonlyMap<number, string>;
}

/** Whether the tracepoint gives a reason: (skb, location, reason, …), behind the data of who listens. */
export function givesReasons(vmlinux: Btf): boolean {
  return vmlinux.parametersOfPointer('btf_trace_kfree_skb')?.[3] === 'skb_drop_reason';
}

/** Names of the core's drop reasons, without their common prefix, as tracefs gives them too. */
export function coreReasons(vmlinux: Btf): ReasonNames {
  const names = new Map<number, string>();
  for (const [value, name] of vmlinux.enumeration('skb_drop_reason') ?? []) {
    // SKB_DROP_REASON_SUBSYS_MASK is of the same enumeration, but no reason.
    if (value >>> 16 === 0) names.set(value, name.replace(/^SKB_(?:DROP_REASON_)?/, ''));
  }
  return names;
}

/** Names of the subsystems that have reasons of their own; the numbers differ between kernels. */
export function subsystemNames(vmlinux: Btf): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [value, name] of vmlinux.enumeration('skb_drop_reason_subsys') ?? []) {
    if (name !== 'SKB_DROP_REASON_SUBSYS_NUM') {
      names.set(value, name.replace(/^SKB_DROP_REASON_SUBSYS_/, ''));
    }
  }
  return names;
}

/**
 * Names of the given subsystem reasons in one BTF. Their enumerations (`mac80211_drop_reason`,
 * `ovs_drop_reason`, `qdisc_drop_reason`) hold the subsystem's number in each value, so a value
 * cannot be taken for that of another subsystem.
 */
export function subsystemReasons(btf: Btf, wanted: ReadonlySet<number>): ReasonNames {
  const names = new Map<number, string>();
  for (const members of btf.enumerations((name) => name.endsWith('drop_reason'))) {
    for (const [value, name] of members) {
      // mac80211 has an inner copy of each name, with three underscores in front.
      if (wanted.has(value)) names.set(value, name.replace(/^_+/, ''));
    }
  }
  return names;
}

/**
 * Names of all reasons that were seen. Modules are asked only for reasons of subsystems, those named like
 * the subsystem first. What cannot be read is left without a name.
 */
export function kernelReasons(vmlinux: Btf, seen: Iterable<number>): KernelReasons {
  const subsystems = subsystemNames(vmlinux);
  const names = new Map(coreReasons(vmlinux));
  const missing = new Set([...seen].filter((value) => value >>> 16 !== 0));
  const take = (btf: Btf): void => {
    for (const [value, name] of subsystemReasons(btf, missing)) {
      names.set(value, name);
      missing.delete(value);
    }
  };
  if (missing.size > 0) take(vmlinux);
  if (missing.size > 0) {
    const likely = new Set([...missing].map((value) => moduleOf(subsystems.get(value >>> 16))));
    for (const module of modules().sort((a, b) => Number(likely.has(b)) - Number(likely.has(a)))) {
      if (missing.size === 0) break;
      try {
        take(new Btf(readFileSync(`${btfDirectory}/${module}`), vmlinux));
      } catch {
        // Unloaded meanwhile, or not readable: its reasons stay numbers.
      }
    }
  }
  return { names, subsystems };
}

/** `mac80211` for MAC80211_UNUSABLE. */
function moduleOf(subsystem: string | undefined): string | undefined {
  return subsystem?.split('_', 1)[0]?.toLowerCase();
}

function modules(): string[] {
  try {
    return readdirSync(btfDirectory).filter((name) => name !== 'vmlinux');
  } catch {
    return [];
  }
}
