import { expect, test } from 'vitest';
import { textIn } from '../../checks/firewall/json.ts';
import { parseNftJson } from '../../checks/firewall/nftables.ts';
import { parseRuleCounters } from '../../checks/firewall/rule-counters.ts';
import { openLiveHost } from '../../src/host/index.ts';
import { inside, makePair, RECEIVER, SENDER } from './network.ts';
import { labMissing } from './requirements.ts';

const missing = await labMissing();

/** More than 5,000: the chains are asked for one by one. */
const MANY_RULES = 6000;

test.skipIf(missing !== null)('netlink tells of each rule what nft tells', async () => {
  const pair = await makePair();
  const host = await openLiveHost({ netns: pair.b });
  try {
    if (host.status !== 'ok') throw new Error(host.reason);
    const rules = [
      'add table inet t',
      'add counter inet t mine',
      'add chain inet t input { type filter hook input priority 0; }',
      'add rule inet t input icmp type echo-request counter name mine',
      `add rule inet t input ip saddr ${SENDER} counter counter`,
      'add rule inet t input tcp dport 1 drop',
      'add table netdev t',
      'add chain netdev t ingress { type filter hook ingress devices = { lo, vb } priority 0; }',
    ];
    await inside(pair.b, 'nft -f -', `${rules.join('\n')}\n`);
    await inside(pair.b, 'iptables-nft -P FORWARD DROP');
    await inside(pair.b, 'iptables-nft -A INPUT -p icmp -j ACCEPT');
    await inside(pair.a, `ping -c 3 -i 0.01 ${RECEIVER}`);
    const small = await comparison();
    expect(small.told).toEqual(small.listed);
    expect(small.told).toContainEqual(['nftables inet t input handle 3', 3n]);
    expect(small.devices).toEqual([['netdev t ingress', ['lo', 'vb']]]);

    const more = Array.from({ length: MANY_RULES }, (_, index) => [
      ...(index % 1000 === 0 ? [`add chain inet t part${index}`] : []),
      `add rule inet t part${index - (index % 1000)} udp dport ${index + 1} counter drop`,
    ]);
    await inside(pair.b, 'nft -f -', `${more.flat().join('\n')}\n`);
    const large = await comparison();
    expect(large.told).toEqual(large.listed);
    expect(large.told.length).toBe(small.told.length + MANY_RULES);
  } finally {
    if (host.status === 'ok') await host.value.close();
    await pair.cleanUp.run();
  }

  /** Keys of all rules, with what the last counter of each has counted. */
  async function comparison() {
    const json = await inside(pair.b, 'nft -j list ruleset');
    const output = host.status === 'ok' ? await host.value.run(['whydrop-rule-counters']) : host;
    const counters = output.status === 'ok' ? parseRuleCounters(output.value.stdout) : undefined;
    const listing = await parseNftJson(json);
    if (listing === undefined || counters === undefined) throw new Error('nothing to compare');
    const objects = new Map(
      listing.counters.map((counter) => [
        `inet t ${textIn(counter, 'name')}`,
        Number(counter.packets),
      ]),
    );
    return {
      devices: [...counters.chains].flatMap(([chain, { devices }]) =>
        devices === undefined ? [] : [[chain, devices.toSorted()]],
      ),
      told: [...counters.chains].flatMap(([chain, { rules }]) =>
        [...rules.keys()].map((handle) => {
          const key = `nftables ${chain} handle ${handle}`;
          return [key, counters.get(key) ?? null] as const;
        }),
      ),
      listed: listing.rules.map(
        ({ key, counted }) =>
          [key, typeof counted === 'string' ? BigInt(objects.get(counted) ?? 0) : counted] as const,
      ),
    };
  }
});
