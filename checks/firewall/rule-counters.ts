import type { View } from '../../src/model/host.ts';
import { ok, unread, type Reading } from '../../src/model/reading.ts';
import { isList, isObject, textIn, type Json } from './json.ts';
import { policyKey, ruleKey, ruleOfKey, type PacketCounts } from './ruleset.ts';

/** What whydrop itself reads from nf_tables, over netlink (src/host/rule-counters.ts). */
const RULE_COUNTERS = 'whydrop-rule-counters';

/** Of a chain of nf_tables: quickly read, but nothing says what its rules do. */
export interface ChainCounters {
  /** Packets that met the policy. Null: not counted. */
  readonly policy: number | null;
  /** Packets of each rule by its handle, in the order of the rules. Null: not counted. */
  readonly rules: ReadonlyMap<number, number | null>;
  /** Those that it is bound to, `eth*` being all that start so. Absent: it is at no hook of a device. */
  readonly devices?: readonly string[];
}

/**
 * The counters of all rules of nf_tables in a namespace. They are looked up by chain and handle: the keys of 50,000
 * rules would take 6 MB for each reading, and a fifth of a second, and hardly any is asked for.
 */
export class RuleCounters implements PacketCounts {
  /** By `inet filter input`. */
  readonly chains: ReadonlyMap<string, ChainCounters>;

  constructor(chains: ReadonlyMap<string, ChainCounters>) {
    this.chains = chains;
  }

  /** Whether there is such a rule, counted or not. */
  has(key: string): boolean {
    return this.#countOf(key) !== undefined;
  }

  get(key: string): bigint | undefined {
    const count = this.#countOf(key);
    return count === undefined || count === null ? undefined : BigInt(count);
  }

  *[Symbol.iterator](): Iterator<readonly [key: string, packets: bigint]> {
    for (const [chain, { policy, rules }] of this.chains) {
      if (policy !== null) yield [policyKey(chain), BigInt(policy)];
      for (const [handle, count] of rules) {
        if (count !== null) yield [ruleKey(chain, handle), BigInt(count)];
      }
    }
  }

  #countOf(key: string): number | null | undefined {
    const place = ruleOfKey(key);
    const counters = place && this.chains.get(place.chain);
    return place?.handle === undefined ? counters?.policy : counters?.rules.get(place.handle);
  }
}

export async function readRuleCounters(view: View): Promise<Reading<RuleCounters>> {
  const output = await view.run([RULE_COUNTERS]);
  if (output.status !== 'ok') return output;
  const counters = parseRuleCounters(output.value.stdout);
  return counters === undefined
    ? unread('malformed', `${RULE_COUNTERS} printed something else.`)
    : ok(counters);
}

/**
 * A line for each chain, `{"family":"inet","table":"filter","chain":"input","policy":null,"rules":[[4,17],[5,"web"]]}`:
 * handles of rules, with packets, or the name of the counter object that has them, or null. At the hooks of devices
 * `"devices":["eth0"]` as well. Then one for each such object: `{"family":"inet","table":"filter","counter":"web","packets":3}`.
 */
export function parseRuleCounters(text: string): RuleCounters | undefined {
  const chains = new Map<string, ChainCounters>();
  const references: { rules: Map<number, number | null>; handle: number; object: string }[] = [];
  const objects = new Map<string, number>();
  try {
    for (const line of text.split('\n').filter((line) => line !== '')) {
      const entry = JSON.parse(line) as Json;
      if (!isObject(entry)) return undefined;
      const table = `${textIn(entry, 'family') ?? ''} ${textIn(entry, 'table') ?? ''}`;
      const object = textIn(entry, 'counter');
      if (object !== undefined) {
        if (isCount(entry.packets)) objects.set(`${table} ${object}`, entry.packets);
        continue;
      }
      const rules = new Map<number, number | null>();
      for (const rule of isList(entry.rules) ? entry.rules : []) {
        const [handle, counted] = isList(rule) ? rule : [];
        if (!isCount(handle)) return undefined;
        rules.set(handle, isCount(counted) ? counted : null);
        if (typeof counted === 'string') {
          references.push({ rules, handle, object: `${table} ${counted}` });
        }
      }
      chains.set(`${table} ${textIn(entry, 'chain') ?? ''}`, {
        policy: isCount(entry.policy) ? entry.policy : null,
        rules,
        ...(isList(entry.devices) && {
          devices: entry.devices.filter((name) => typeof name === 'string'),
        }),
      });
    }
  } catch {
    return undefined;
  }
  for (const { rules, handle, object } of references) {
    rules.set(handle, objects.get(object) ?? null);
  }
  return new RuleCounters(chains);
}

/** Above 2^53 it is rounded: that many packets take a fast NIC some years. */
function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
