import type { Answer, Lookup, Lookups } from '../../checks/lookups.ts';
import type { RefusingRoute, Routes } from '../../checks/routes.ts';
import type { DropCount } from '../../src/model/drops.ts';
import type { Observation } from '../../src/model/rule.ts';
import { refuserOf, tablesOf, type Refuser } from './refuser.ts';

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

/** What the kernel says of the flows of these drops. */
export function lookupsFor(
  lookups: Lookups | undefined,
  drops: readonly DropCount[],
): readonly Lookup[] {
  return (lookups?.answers ?? []).filter((lookup) =>
    drops.some(
      ({ details }) =>
        details?.interface === lookup.interface &&
        details.topFlows.some(
          ({ source, destination }) =>
            source === lookup.source && destination === lookup.destination,
        ),
    ),
  );
}

/** Look-ups that found no way, and what refused. */
export interface Refused {
  /** The one route or policy rule that all of them ended in. */
  readonly refuser?: RefusingRoute;
  /** Nothing else can have refused any of them. */
  readonly sure: boolean;
  readonly because: readonly Observation[];
}

/** The routes or policy rules by name that refused these packets. An answer that does not fit the drops is evidence of nothing, and says so. */
export function refusedBy(lookups: readonly Lookup[], all: Lookups | undefined): Refused {
  const found = lookups.map((lookup) => ({
    lookup,
    by: all && refuserOf(lookup, all),
  }));
  const names = new Set(found.map(({ by }) => by?.refuser.text));
  const refuser = names.size === 1 ? found[0]?.by?.refuser : undefined;
  return {
    ...(refuser !== undefined && { refuser }),
    sure: found.length > 0 && found.every(({ by }) => by?.unsure.length === 0),
    because: found.map(({ lookup, by }) => ({
      source: lookup.command,
      text: by === undefined ? answerText(lookup, all) : refuserText(by),
    })),
  };
}

function answerText(lookup: Lookup, all: Lookups | undefined): string {
  const { answer } = lookup;
  if (answer.kind === 'route') return noEvidence(answer);
  const tables = all !== undefined && answer.error === 'ENETUNREACH' ? tablesOf(lookup, all) : [];
  const where = tables.length === 0 ? '' : `; tables looked in: ${tables.join(', ')}`;
  return `the kernel answers "${answer.text}"${where}`;
}

function refuserText({ error, refuser, unsure }: Refuser): string {
  const by = `${refuser.kind} "${refuser.text}"`;
  if (unsure.length === 0) return `the kernel answers "${error}": the ${by} says so`;
  const named = unsure.slice(0, NAMED_ROUTES).map(({ text }) => `"${text}"`);
  const more = unsure.length > named.length ? ' …' : '';
  return `the kernel answers "${error}": probably the ${by}; whether these rules were for the packets is not known: ${named.join(', ')}${more}`;
}

export type Way = Extract<Answer, { kind: 'route' }>;

/** The kernel has a way for packets that died for want of one. */
export function noEvidence(way: Way): string {
  return `it ${wayOf(way)} now, which says nothing of the dropped packets: routes or settings have changed since, or a policy rule asks for a firewall mark or ports`;
}

/** `goes out on eth1 by 10.0.0.1`. */
export function wayOf({ device, gateway, local }: Way): string {
  if (local) return 'ends at this host';
  return `goes out on ${device}${gateway === undefined ? '' : ` by ${gateway}`}`;
}
