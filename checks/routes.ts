import { defineCheck } from '../src/model/check.ts';
import type { Host } from '../src/model/host.ts';
import { ok, type Reading } from '../src/model/reading.ts';
import {
  isRefusal,
  listByIp,
  refusals,
  textOf,
  type JsonObject,
  type Refusal,
} from './iproute-json.ts';
import { readPolicyRules, type PolicyRule } from './policy-rules.ts';
import { parsePairs, parseSnmp6 } from './snmp.ts';
import { parseStatTable } from './stat-table.ts';

const snmpFiles = ['/proc/net/snmp', '/proc/net/netstat'] as const;
const snmp6File = '/proc/net/snmp6';
/** Of the whole machine. */
const cacheFile = '/proc/net/stat/rt_cache';
/** They move whenever a look-up finds no way; then it is worth looking at the tables. */
const failureCounters = [
  'Ip.InAddrErrors',
  'Ip.OutNoRoutes',
  'IpExt.InNoRoutes',
  'Ip6.InAddrErrors',
  'Ip6.InNoRoutes',
  'Ip6.OutNoRoutes',
];

/** More routes than these are counted, not kept. */
const ROUTES_KEPT = 200;

export interface Routes {
  /** Counters of look-ups without an answer: as in the check snmp, and `rt_cache.in_no_route`. */
  readonly failures: ReadonlyMap<string, bigint>;
  /** Absent: no look-up failed, so nobody looked; or the tables could not be read. */
  readonly tables?: RouteTables;
}

export interface RouteTables {
  /** Routes and policy rules that refuse. */
  readonly refusing: readonly RefusingRoute[];
  /** Families that have a default route, in any table. */
  readonly defaults: ReadonlySet<4 | 6>;
}

export interface RefusingRoute {
  readonly type: Refusal;
  readonly kind: 'route' | 'rule';
  readonly family: 4 | 6;
  /** `198.51.100.0/24`, or `default`; of a rule what it matches by destination: `default` is any. */
  readonly destination: string;
  /** Of a route: where it is. Absent: in `main`. */
  readonly table?: string;
  /** As ip(8) shows it: `blackhole 198.51.100.0/24 table 7`. */
  readonly text: string;
}

export default defineCheck<Routes>({
  id: 'routes',
  title: 'Routes and policy rules that refuse',
  sources: [...snmpFiles, snmp6File, cacheFile, 'ip -j route show table all', 'ip -j rule'],
  timeoutMs: 5000,
  async read(host, { phase, first }) {
    const failures = await readFailures(host);
    const moved = [...failures].some(([name, value]) => first?.failures.get(name) !== value);
    if (phase !== 'last' || !(moved || !failures.has('rt_cache.in_no_route'))) {
      return ok({ failures });
    }
    const tables = await readTables(host);
    return tables.status === 'ok'
      ? ok({ failures, tables: tables.value })
      : ok({ failures }, [`Routes: ${tables.reason}`]);
  },
});

async function readFailures(host: Host): Promise<ReadonlyMap<string, bigint>> {
  const [[snmp, netstat, snmp6], [cache]] = await Promise.all([
    host.readFiles([...snmpFiles, snmp6File]),
    host.initial.readFiles([cacheFile]),
  ]);
  const counters = new Map<string, bigint>();
  if (snmp?.status === 'ok') parsePairs(snmp.value, snmpFiles[0], counters);
  if (netstat?.status === 'ok') parsePairs(netstat.value, snmpFiles[1], counters);
  if (snmp6?.status === 'ok') parseSnmp6(snmp6.value, counters);
  const failures = new Map<string, bigint>();
  for (const name of failureCounters) {
    const value = counters.get(name);
    if (value !== undefined) failures.set(name, value);
  }
  const sums = cache?.status === 'ok' ? parseStatTable(cache.value) : undefined;
  const noRoute = sums?.get('in_no_route');
  if (noRoute !== undefined) failures.set('rt_cache.in_no_route', noRoute);
  return failures;
}

async function readTables(host: Host): Promise<Reading<RouteTables>> {
  const refusing: RefusingRoute[] = [];
  for (const type of refusals) {
    const routes = await listByIp(host, [
      'ip',
      '-j',
      'route',
      'show',
      'table',
      'all',
      'type',
      type,
    ]);
    if (routes.status !== 'ok') return routes;
    refusing.push(...routes.value.flatMap((route) => refusingRoute(route) ?? []));
  }
  const defaults = new Set<4 | 6>();
  for (const family of [4, 6] as const) {
    const option = `-${family}`;
    const [routes, rules] = await Promise.all([
      listByIp(host, ['ip', '-j', option, 'route', 'show', 'table', 'all', 'exact', 'default']),
      readPolicyRules(host, family),
    ]);
    if (routes.status !== 'ok') return routes;
    // The kernel's own entry for "nothing here" is a default route of type unreachable.
    if (routes.value.some((route) => !isRefusal(textOf(route, 'type')))) defaults.add(family);
    const policy = rules.status === 'ok' ? rules.value : [];
    refusing.push(...policy.flatMap((rule) => refusingRule(rule, family) ?? []));
  }
  return ok({ refusing: refusing.slice(0, ROUTES_KEPT), defaults });
}

/** Entry of `ip -j route show table all type blackhole`. */
export function refusingRoute(route: JsonObject): RefusingRoute | undefined {
  const type = textOf(route, 'type');
  const destination = textOf(route, 'dst');
  if (!isRefusal(type) || destination === undefined) return undefined;
  // IPv6 routes have a device and a preference, whatever their type.
  const family = destination.includes(':') || textOf(route, 'pref') !== undefined ? 6 : 4;
  const table = textOf(route, 'table');
  const text = `${type} ${destination}${table === undefined ? '' : ` table ${table}`}`;
  return {
    type,
    kind: 'route',
    family,
    destination,
    ...(table !== undefined && { table }),
    text,
  };
}

export function refusingRule(rule: PolicyRule, family: 4 | 6): RefusingRoute | undefined {
  const { refusal, destination, text } = rule;
  if (refusal === undefined) return undefined;
  return { type: refusal, kind: 'rule', family, destination, text };
}
