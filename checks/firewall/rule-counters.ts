import type { View } from '../../src/model/host.ts';
import { ok, unread, type Reading } from '../../src/model/reading.ts';
import { isList, isObject, textIn, type Json } from './json.ts';
import { policyKey, ruleKey } from './ruleset.ts';

/** What whydrop itself reads from nf_tables, over netlink (src/host/rule-counters.ts). */
const RULE_COUNTERS = 'whydrop-rule-counters';

/** The counters of all rules of nf_tables in a namespace: quickly read, but nothing says what the rules do. */
export interface RuleCounters {
  /** What those that count have counted, by key. */
  readonly packets: ReadonlyMap<string, bigint>;
  /** The handles of the rules of each chain (`inet filter input`), in their order. */
  readonly handles: ReadonlyMap<string, readonly number[]>;
  /** Those that a chain is bound to, `eth*` being all that start so. Absent: it is at no hook of a device. */
  readonly devices: ReadonlyMap<string, readonly string[]>;
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
  const packets = new Map<string, bigint>();
  const handles = new Map<string, readonly number[]>();
  const devices = new Map<string, readonly string[]>();
  const references: (readonly [key: string, object: string])[] = [];
  const objects = new Map<string, bigint>();
  try {
    for (const line of text.split('\n').filter((line) => line !== '')) {
      const entry = JSON.parse(line) as Json;
      if (!isObject(entry)) return undefined;
      const table = `${textIn(entry, 'family') ?? ''} ${textIn(entry, 'table') ?? ''}`;
      const object = textIn(entry, 'counter');
      if (object !== undefined) {
        if (isCount(entry.packets)) objects.set(`${table} ${object}`, BigInt(entry.packets));
        continue;
      }
      const chain = `${table} ${textIn(entry, 'chain') ?? ''}`;
      if (isCount(entry.policy)) packets.set(policyKey(chain), BigInt(entry.policy));
      if (isList(entry.devices)) {
        devices.set(
          chain,
          entry.devices.filter((name) => typeof name === 'string'),
        );
      }
      const ofChain: number[] = [];
      for (const rule of isList(entry.rules) ? entry.rules : []) {
        const [handle, counted] = isList(rule) ? rule : [];
        if (!isCount(handle)) return undefined;
        ofChain.push(handle);
        if (typeof counted === 'string') {
          references.push([ruleKey(chain, handle), `${table} ${counted}`]);
        } else if (isCount(counted)) packets.set(ruleKey(chain, handle), BigInt(counted));
      }
      handles.set(chain, ofChain);
    }
  } catch {
    return undefined;
  }
  for (const [key, object] of references) {
    const counted = objects.get(object);
    if (counted !== undefined) packets.set(key, counted);
  }
  return { packets, handles, devices };
}

/** Above 2^53 it is rounded: that many packets take a fast NIC some years. */
function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
