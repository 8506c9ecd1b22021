import { expect, test } from 'vitest';
import type { FirewallPolicy, FirewallRule } from '../../../checks/firewall.ts';
import bridgeNetfilter from '../../../rules/netfilter/bridge-netfilter.ts';
import nfRuleDrop from '../../../rules/netfilter/nf-rule-drop.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import {
  causesOf,
  detailsOf,
  dropped,
  firewallOf,
  foreign,
  links,
  sampled,
  settings,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';

const POLICY: FirewallPolicy = {
  key: 'iptables-legacy ip filter FORWARD policy',
  backend: 'iptables-legacy',
  tool: 'iptables-legacy',
  family: 'ip',
  table: 'filter',
  chain: 'FORWARD',
  hook: 'forward',
  policy: 'drop',
  text: '-P FORWARD DROP',
  owner: null,
  packets: 0n,
};

/** A rule of the bridge itself (ebtables, nft). */
const OF_BRIDGE: FirewallRule = {
  key: 'nftables bridge filter forward handle 1',
  backend: 'nftables',
  tool: 'nft',
  family: 'bridge',
  table: 'filter',
  chain: 'forward',
  hooks: ['forward'],
  handle: 1,
  position: 1,
  text: 'ip protocol icmp drop',
  comment: null,
  owner: null,
  verdict: 'drop',
  packets: null,
};

/** A rule for routed packets that does not count. */
const UNCOUNTED: FirewallRule = {
  ...OF_BRIDGE,
  key: 'nftables ip x forward handle 1',
  family: 'ip',
  table: 'x',
  text: 'udp dport 9000 drop',
};

interface Case {
  /** What the policy for forwarded packets counted; null: it does not count. */
  readonly counted?: number | null;
  /** What a rule of the bridge itself counted; null: it does not count. Absent: there is none. */
  readonly ofBridge?: number | null;
  readonly uncounted?: FirewallRule;
  readonly drops: DropCapture;
  readonly ip?: Counters;
  readonly setting?: number;
  readonly where?: typeof window;
}

/** What both rules say, and how many packets each takes. */
function judge(given: Case) {
  const { counted = 100, ofBridge, uncounted, drops, ip = {}, setting = 1, where = window } = given;
  const at = (add: boolean) => {
    const total = (rise: number | null) => (rise === null ? null : BigInt(7 + (add ? rise : 0)));
    return firewallOf({
      rules: [
        ...(ofBridge === undefined ? [] : [{ ...OF_BRIDGE, packets: total(ofBridge) }]),
        ...(uncounted === undefined ? [] : [uncounted]),
      ],
      policies: [{ ...POLICY, packets: total(counted) }],
    });
  };
  const port = { kind: 'veth', portKind: 'bridge', portState: 'forwarding', master: 'br0' };
  const evidence = {
    firewall: sampled(at(false), at(true)),
    link: links({
      br0: { kind: 'bridge' },
      vm1: { ...port, rxPackets: 1000n },
      vm2: { ...port, rxPackets: 1000n },
    }),
    sysctl: settings({ 'net.bridge.bridge-nf-call-iptables': setting }),
    snmp: snmpRise({ 'Ip.OutTransmits': 0, ...ip }),
    conntrack: undefined,
    drops,
  };
  const [bridged, routed] = [bridgeNetfilter, nfRuleDrop].map((rule) =>
    causesOf(rule.judge(evidence, where)),
  );
  return { bridged: bridged ?? [], routed: routed ?? [] };
}

const refused = (packets: number, name?: string): DropCapture =>
  dropped(
    'NETFILTER_DROP',
    'nf_hook_slow',
    packets,
    name === undefined ? {} : detailsOf({ interface: name }),
  );

test('refused on the way to a port: certain, and each packet is told once', () => {
  const { bridged, routed } = judge({ drops: refused(100, 'vm2') });
  expect(bridged).toMatchObject([
    {
      confidence: 'certain',
      packets: 100,
      scope: { rule: 'iptables-legacy -t filter -P FORWARD DROP' },
      claims: [{ reason: 'NETFILTER_DROP', interface: ['vm2'], packets: 100 }],
    },
  ]);
  expect(bridged[0]?.fixes.map(({ id }) => id)).toEqual(['accept-wanted', 'do-not-filter-bridged']);
  // It is a policy: only printed.
  expect(bridged[0]?.fixes.flatMap(({ steps }) => steps.map(({ kind }) => kind))).not.toContain(
    'sysctl',
  );
  expect(routed).toEqual([]);
});

test('what the same policy refused of routed packets stays with it', () => {
  const { bridged, routed } = judge({ counted: 150, drops: refused(100, 'vm2') });
  expect([bridged[0]?.packets, routed[0]?.packets]).toEqual([100, 50]);
});

test('look-alike: routed through the bridge, the packet has the bridge as its device', () => {
  const { bridged, routed } = judge({ drops: refused(100, 'br0') });
  expect([bridged, routed[0]?.packets]).toEqual([[], 100]);
});

test('a policy that does not count: the capture alone tells', () => {
  const { bridged } = judge({ counted: null, drops: refused(100, 'vm2') });
  expect(bridged).toMatchObject([{ confidence: 'certain', packets: 100 }]);
});

test('look-alike: a rule of the bridge that counted all but those at the edges of the window', () => {
  const [drop] = refused(100, 'vm2').drops;
  const drops = { ...refused(100, 'vm2'), drops: drop ? [{ ...drop, edgePackets: 3 }] : [] };
  expect(judge({ counted: 5, ofBridge: 97, drops }).bridged).toEqual([]);
  expect(judge({ counted: 5, ofBridge: 90, drops }).bridged).toMatchObject([{ packets: 7 }]);
});

test('no rule could have: they were refused by something else', () => {
  expect(judge({ counted: 0, drops: refused(100, 'vm2') }).bridged).toEqual([]);
});

test.each([
  ['counts them', 100, 0, []],
  ['counts some of them', 40, 60, [60]],
  ['does not count: only the counter of the policy tells', null, 70, [70]],
])('look-alike: a rule of the bridge itself that %s', (_, ofBridge, counted, packets) => {
  const { bridged } = judge({ counted, ofBridge, drops: refused(100, 'vm2') });
  expect(bridged.map((cause) => cause.packets)).toEqual(packets);
});

test('look-alike: a rule of the bridge that does not count, beside routed packets that the policy counted', () => {
  const drops = {
    ...refused(100, 'vm2'),
    drops: [...refused(100, 'vm2').drops, ...refused(80, 'br0').drops],
  };
  const { bridged, routed } = judge({ counted: 80, ofBridge: null, drops });
  expect([bridged, routed[0]?.packets]).toEqual([[], 80]);
});

test('what a rule without a counter refused of routed packets is missed by the IP layer, bridged ones are not', () => {
  const drops = {
    ...refused(100, 'vm2'),
    drops: [...refused(100, 'vm2').drops, ...refused(110, 'br0').drops],
  };
  const ip = { 'Ip.InReceives': 110, 'Ip.ForwDatagrams': 110 };
  const { bridged, routed } = judge({ counted: 150, uncounted: UNCOUNTED, drops, ip });
  expect(bridged).toMatchObject([{ packets: 100 }]);
  expect(routed.map(({ packets, scope }) => [packets, scope.rule])).toEqual([
    [50, 'iptables-legacy -t filter -P FORWARD DROP'],
    [60, 'ip x forward: udp dport 9000 drop'],
  ]);
});

test('the setting is off: not by the firewall for IP packets', () => {
  expect(judge({ setting: 0, drops: refused(100, 'vm2') }).bridged).toEqual([]);
});

test('tracefs: what met the policy and was not forwarded was bridged', () => {
  const { bridged, routed } = judge({ drops: refused(100), where: foreign });
  expect(bridged).toMatchObject([{ confidence: 'likely', packets: 100 }]);
  expect(routed).toEqual([]);
});

test.each([
  ['after the hook', { 'Ip.InReceives': 100 }],
  ['before the hook', { 'Ip.InReceives': 100, 'Ip.ForwDatagrams': 100 }],
])('tracefs, look-alike: packets that are routed, on kernels that count them %s', (_, ip) => {
  const { bridged, routed } = judge({ drops: refused(100), ip, where: foreign });
  expect([bridged, routed[0]?.packets]).toEqual([[], 100]);
});
