import type { Host } from '../src/model/host.ts';
import { ok, type Reading } from '../src/model/reading.ts';
import {
  isRefusal,
  listByIp,
  numberOf,
  textOf,
  type JsonObject,
  type Refusal,
} from './iproute-json.ts';

/** One policy rule of `ip rule`: which packets it is for, and what it says to do with them. */
export interface PolicyRule {
  /** As ip(8) shows it: `100: from 10.0.0.0/8 iif eth0 blackhole`. */
  readonly text: string;
  /** `10.0.0.0/8`; `default` is any. */
  readonly source: string;
  readonly destination: string;
  /** By which packets come in. Absent: any. */
  readonly interface?: string;
  /** It is for the packets that do not match. */
  readonly inverted: boolean;
  /**
   * It asks for what addresses and interface do not tell (a firewall mark, ports, a VRF), or says more
   * than where to look (goto, suppress_prefixlength).
   */
  readonly asksMore: boolean;
  /** Refuses. Absent: looks a route up in `table`, or does nothing if there is none. */
  readonly refusal?: Refusal;
  readonly table?: string;
}

/** Members of an entry that are understood here, or change nothing (`protocol` is who made it). */
const understood = new Set([
  'priority',
  'not',
  'src',
  'srclen',
  'dst',
  'dstlen',
  'iif',
  'iif_detached',
  'action',
  'table',
  'nop',
  'protocol',
]);

/** In the order in which the kernel goes through them. */
export async function readPolicyRules(
  host: Host,
  family: 4 | 6,
): Promise<Reading<readonly PolicyRule[]>> {
  const rules = await listByIp(host, ['ip', '-j', `-${family}`, 'rule', 'show']);
  return rules.status === 'ok' ? ok(rules.value.map(policyRule)) : rules;
}

/** Entry of `ip -j rule show`. */
export function policyRule(rule: JsonObject): PolicyRule {
  const action = textOf(rule, 'action');
  const [interface_, table] = [textOf(rule, 'iif'), textOf(rule, 'table')];
  const more = Object.keys(rule).filter((member) => !understood.has(member));
  const inverted = 'not' in rule;
  const destination = network(rule, 'dst');
  const source = network(rule, 'src');
  const text = [
    `${numberOf(rule, 'priority') ?? 0}:`,
    ...(inverted ? ['not'] : []),
    `from ${source === 'default' ? 'all' : source}`,
    ...(destination === 'default' ? [] : [`to ${destination}`]),
    ...(interface_ === undefined ? [] : [`iif ${interface_}`]),
    ...more.map((member) => {
      const value = textOf(rule, member) ?? numberOf(rule, member);
      return value === undefined ? member : `${member} ${value}`;
    }),
    ...(table === undefined ? [] : [`lookup ${table}`]),
    ...(action === undefined ? [] : [action]),
  ].join(' ');
  return {
    text,
    source,
    destination,
    ...(interface_ !== undefined && { interface: interface_ }),
    inverted,
    asksMore: more.length > 0 || (action !== undefined && !isRefusal(action)),
    ...(isRefusal(action) && { refusal: action }),
    ...(table !== undefined && { table }),
  };
}

function network(rule: JsonObject, end: 'src' | 'dst'): string {
  const [address, bits] = [textOf(rule, end), numberOf(rule, `${end}len`)];
  if (address === undefined || address === 'all') return 'default';
  return bits === undefined ? address : `${address}/${bits}`;
}
