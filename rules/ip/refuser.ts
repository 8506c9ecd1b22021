import type { Lookup, LookupError, Lookups, Place } from '../../checks/lookups.ts';
import type { PolicyRule } from '../../checks/policy-rules.ts';
import { refusingRule, type RefusingRoute } from '../../checks/routes.ts';
import { inNetwork } from './networks.ts';

/** The route or policy rule that a look-up of the kernel ended in. */
export interface Refuser {
  /** What the kernel answered: `Invalid argument`. */
  readonly error: string;
  readonly refuser: RefusingRoute;
  /** Policy rules before it, or that lead to it, of which is not known whether they were for these packets. Empty: it is sure. */
  readonly unsure: readonly PolicyRule[];
}

/**
 * Goes through the policy rules as fib_rules_lookup does (net/core/fib_rules.c). The kernel has said that
 * the look-up ended in a refusal, so that a table without a refusing route for the destination had none at
 * all: the look-up would have ended there. Undefined: not found, or not of the type that the kernel told.
 */
export function refuserOf(lookup: Lookup, { policy }: Lookups): Refuser | undefined {
  const { answer, refusing } = lookup;
  // Not listed: nobody knows which tables refuse.
  if (answer.kind !== 'error' || refusing === undefined) return undefined;
  const unsure: PolicyRule[] = [];
  for (const rule of policy.get(lookup.family) ?? []) {
    const isFor = isRuleFor(rule, lookup);
    if (isFor === false) continue;
    if (isFor === undefined) {
      unsure.push(rule);
      continue;
    }
    const refuser = refusingRule(rule, lookup.family) ?? refusingRouteIn(rule, lookup);
    if (refuser === undefined) continue;
    return isTypeOf(refuser, answer.error) ? { error: answer.text, refuser, unsure } : undefined;
  }
  // In a table that one of the others leads to, as that of a VRF does (l3mdev).
  const [only, ...others] = refusing;
  return only === undefined || others.length > 0 || unsure.length === 0
    ? undefined
    : { error: answer.text, refuser: only, unsure };
}

/** Tables that the kernel looked in for a packet that it found no way for, by the rules that are sure. */
export function tablesOf(lookup: Lookup, { policy }: Lookups): readonly string[] {
  const rules = policy.get(lookup.family) ?? [];
  const tables = rules.filter((rule) => isRuleFor(rule, lookup)).map(({ table }) => table);
  return [...new Set(tables.filter((table) => table !== undefined))];
}

/** Undefined: it asks for what is not known of these packets. */
function isRuleFor(rule: PolicyRule, lookup: Lookup): boolean | undefined {
  const matches =
    inNetwork(lookup.source, rule.source) &&
    inNetwork(lookup.destination, rule.destination) &&
    (rule.interface === undefined || rule.interface === lookup.interface);
  if (rule.asksMore && (matches || rule.inverted)) return undefined;
  return matches !== rule.inverted;
}

function refusingRouteIn({ table }: PolicyRule, lookup: Lookup): RefusingRoute | undefined {
  const isHere = (route: Place): boolean => (route.table ?? 'main') === table;
  const longest = <Route extends Place>(routes: readonly Route[] = []): Route | undefined =>
    routes.filter(isHere).sort((a, b) => prefixOf(b) - prefixOf(a))[0];
  const [refusing, passing] = [longest(lookup.refusing), longest(lookup.passing)];
  if (refusing === undefined || passing === undefined) return refusing;
  return prefixOf(passing) > prefixOf(refusing) ? undefined : refusing;
}

/** fib4_rule_action, fib6_rule_action: "unreachable" of a rule is another error than that of a route. */
const errorOfRule = {
  blackhole: 'EINVAL',
  unreachable: 'ENETUNREACH',
  prohibit: 'EACCES',
} as const;

/** Routes were asked for by the type that the kernel told. */
function isTypeOf({ kind, type }: RefusingRoute, error: LookupError): boolean {
  return kind === 'route' || error === errorOfRule[type];
}

function prefixOf({ destination }: Place): number {
  if (destination === 'default') return 0;
  const bits = destination.split('/')[1];
  return bits === undefined ? Infinity : Number(bits);
}
