import type { Answer, Lookup, Lookups } from '../../../checks/lookups.ts';
import { policyRule, type PolicyRule } from '../../../checks/policy-rules.ts';
import type { RefusingRoute } from '../../../checks/routes.ts';
import { detailsOf } from './evidence.ts';

/** What the kernel says of routes, in a few words. */

export const BLACKHOLE: Answer = { kind: 'error', error: 'EINVAL', text: 'Invalid argument' };
export const NO_ROUTE: Answer = {
  kind: 'error',
  error: 'ENETUNREACH',
  text: 'Network is unreachable',
};

export function wayOut(device: string, gateway?: string): Answer {
  return { kind: 'route', device, ...(gateway !== undefined && { gateway }), local: false };
}

/** Of IPv4 packets that came in by eth0, for a blackhole if nothing else is said. */
export function lookupOf(lookup: Partial<Lookup> = {}): Lookup {
  return {
    family: 4,
    source: '10.0.0.9',
    destination: '198.51.100.1',
    interface: 'eth0',
    command: 'ip route get …',
    answer: BLACKHOLE,
    refusing: [],
    ...lookup,
  };
}

/** The drops that such look-ups are about. */
export function dropsOfLookups(lookups: readonly Lookup[], packets: number) {
  return detailsOf({
    topFlows: lookups.map(({ source, destination }) => ({ source, destination, packets })),
  });
}

export function blackholeOf(destination: string, table?: string): RefusingRoute {
  return {
    type: 'blackhole',
    kind: 'route',
    family: 4,
    destination,
    ...(table !== undefined && { table }),
    text: `blackhole ${destination}${table === undefined ? '' : ` table ${table}`}`,
  };
}

const [local, main, last] = [
  { priority: 0, src: 'all', table: 'local' },
  { priority: 32_766, src: 'all', table: 'main' },
  { priority: 32_767, src: 'all', table: 'default' },
].map(policyRule);

/** @param more entries of `ip -j rule show` between the rules that every host has */
export function policyOf(...more: readonly Parameters<typeof policyRule>[0][]): Lookups['policy'] {
  const rules = [local, ...more.map(policyRule), main, last];
  return new Map([[4, rules.filter((rule): rule is PolicyRule => rule !== undefined)]]);
}
