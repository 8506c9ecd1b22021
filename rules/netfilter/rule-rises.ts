import type { Firewall, FirewallRule } from '../../checks/firewall.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';

export interface RuleRise {
  readonly entry: FirewallRule;
  /** It met in the window. */
  readonly packets: number;
  readonly first: bigint;
}

/** Rules of one kind whose counters rose in the window. */
export function risesOf(
  { first, last }: Sampled<Firewall>,
  isWanted: (rule: FirewallRule) => boolean,
): RuleRise[] {
  return last.rules.filter(isWanted).flatMap((entry) => {
    const earlier = first.packets.get(entry.key);
    const packets = rise(earlier, entry.packets ?? undefined);
    return packets === 0 || earlier === undefined ? [] : [{ entry, packets, first: earlier }];
  });
}
