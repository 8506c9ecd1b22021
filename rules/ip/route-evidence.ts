import type { Routes } from '../../checks/routes.ts';
import type { Observation } from '../../src/model/rule.ts';

/** More routes than these are counted, not named. */
const NAMED_ROUTES = 4;

/** Routes and rules that refuse, as evidence. */
export function refusingText(routes: Routes | undefined, family: 4 | 6): readonly Observation[] {
  const refusing = (routes?.tables?.refusing ?? []).filter((route) => route.family === family);
  return refusing.slice(0, NAMED_ROUTES).map(({ kind, text }, index) => ({
    source: kind === 'rule' ? 'ip rule' : 'ip route show table all',
    text:
      index === NAMED_ROUTES - 1 && refusing.length > NAMED_ROUTES
        ? `${text}, and ${refusing.length - NAMED_ROUTES} more`
        : text,
  }));
}

/** That there is no default route, of the versions asked for. Nothing where nobody looked. */
export function withoutDefault(
  routes: Routes | undefined,
  ipv4: boolean,
  ipv6: boolean,
): readonly Observation[] {
  const defaults = routes?.tables?.defaults;
  if (defaults === undefined) return [];
  return [...(ipv4 ? ([4] as const) : []), ...(ipv6 ? ([6] as const) : [])]
    .filter((family) => !defaults.has(family))
    .map((family) => ({
      source: `ip -${family} route show table all`,
      text: `there is no default route for IPv${family}`,
    }));
}
