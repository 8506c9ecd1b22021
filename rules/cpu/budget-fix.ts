import type { Sysctl } from '../../checks/sysctl.ts';
import type { Expectation, Fix } from '../../src/model/fix.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';

/** A busy host squeezes now and then; netdata's alarm is a minute's mean above 10 a second. */
export const SQUEEZES_PER_SECOND = 10;

/**
 * `usual`: the kernel's defaults (net/core/hotdata.c; the time is two jiffies, 2000 at HZ=1000, 8000
 * at HZ=250); a host below them was tuned down. Beyond `most` user programs starve.
 */
const budgets = [
  { key: 'net.core.netdev_budget', usual: 300, most: 1200 },
  { key: 'net.core.netdev_budget_usecs', usual: 2000, most: 16_000 },
] as const;

/**
 * Twice the budget of net_rx_action; none when it is large already, or could not be read. Only for a
 * loss that comes of it: a squeeze by itself loses nothing.
 */
export function budgetFix(sysctl: Sysctl | undefined, expect: Expectation): readonly Fix[] {
  const steps = budgets.flatMap(({ key, usual, most }) => {
    const now = sysctl?.number(key);
    if (now === undefined || now >= most) return [];
    return sysctlStep(key, now, Math.min(most, Math.max(2 * now, usual)));
  });
  if (steps.length === 0) return [];
  return [
    {
      id: 'raise-budget',
      title: 'Give packet processing a larger budget',
      risk: 'safe',
      cost: 'programs on a busy CPU get less time',
      takesEffect: 'at-once',
      steps,
      expect,
    },
  ];
}
