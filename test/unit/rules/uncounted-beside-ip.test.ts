import { expect, test } from 'vitest';

import type { Firewall } from '../../../checks/firewall.ts';
import type { Json, JsonObject } from '../../../checks/firewall/json.ts';
import { matchingOf } from '../../../checks/firewall/matching.ts';
import { nftFirewall, parseNftJson, statementsByRule } from '../../../checks/firewall/nftables.ts';
import { packetsOf } from '../../../checks/firewall/ruleset.ts';
import rule from '../../../rules/netfilter/nf-rule-drop.ts';
import { EtherType, type DropCount, type DropFlow } from '../../../src/model/drops.ts';
import {
  capture,
  causesOf,
  detailsOf,
  foreign,
  links,
  sampled,
  settings,
  snmpRise,
  type Counters,
} from './evidence.ts';

const DROP: Json = { drop: null };
const COUNTER = (packets: number): Json => ({ counter: { packets, bytes: 0 } });
const match = (protocol: string, field: string, right: Json): Json => ({
  match: { op: '==', left: { payload: { protocol, field } }, right },
});
const port = (number: number) => match('udp', 'dport', number);
const ofMac = match('ether', 'saddr', '02:00:00:00:00:99');

interface Chain {
  readonly family: string;
  readonly hook: string;
  readonly policy?: 'drop';
  readonly rules?: readonly (readonly Json[])[];
}

/** As netlink and `nft -j list ruleset` (1.0.6) tell it: chains at hooks of devices are bound to eth0. */
async function firewall(chains: readonly Chain[]): Promise<Firewall> {
  const nftables = chains.flatMap(({ family, hook, policy = 'accept', rules = [] }) => {
    const place: JsonObject = { family, table: 't' };
    return [
      { chain: { ...place, name: hook, type: 'filter', hook, prio: 0, policy } },
      ...rules.map((expr, index) => ({
        rule: { ...place, chain: hook, handle: index + 1, expr: [...expr] },
      })),
    ];
  });
  const listing = await parseNftJson(JSON.stringify({ nftables }));
  if (listing === undefined) throw new Error('no listing');
  const { rules, policies } = nftFirewall(listing, new Set());
  const bound = policies.map((chain) =>
    chain.hook === 'ingress' ? { ...chain, devices: ['eth0'] } : chain,
  );
  const tables = { rules, policies: bound };
  const now = { ...tables, packets: packetsOf(tables), unseen: [] };
  const statements = await statementsByRule(listing);
  const known = new Set(rules.map(({ key }) => key));
  const before = { known, packets: new Map<string, bigint>() };
  const matching = matchingOf({ statements, sets: new Map() }, before, now.packets);
  return { ...now, matching };
}

const GUEST = { source: '10.77.0.1', destination: '10.77.0.3' };
const toPort = (number: number, packets: number): DropFlow => ({
  ...GUEST,
  ports: { source: 4000, destination: number },
  packets,
});

/** What BPF tells of a kind of drop. */
function dropsAt(
  name: string | null,
  topFlows: readonly DropFlow[],
  protocol: number = EtherType.IPv4,
): DropCount {
  return {
    reason: 'NETFILTER_DROP',
    location: 'nft_do_chain',
    protocol,
    packets: topFlows.reduce((sum, { packets }) => sum + packets, 0),
    edgePackets: 0,
    ...detailsOf({
      interface: name,
      ipProtocol: protocol === EtherType.IPv4 ? 17 : null,
      topFlows,
    }),
  };
}

interface Case {
  readonly chains: readonly Chain[];
  /** At the start of the window, if not the same. */
  readonly first?: readonly Chain[];
  readonly drops: readonly DropCount[];
  readonly ip?: Counters;
  readonly sysctl?: Counters;
  readonly severalNetns?: boolean;
}

/** Which rules, each with its packets. */
async function judge({ chains, first = chains, drops, ip, sysctl, severalNetns = true }: Case) {
  const findings = rule.judge(
    {
      firewall: sampled(await firewall(first), await firewall(chains)),
      drops: capture(drops),
      snmp: snmpRise({ 'Ip.OutTransmits': 0, ...ip }),
      link: links({
        br0: { kind: 'bridge', xdp: false },
        p1: { kind: 'veth', portKind: 'bridge', xdp: false },
        eth0: { kind: 'veth', xdp: false },
      }),
      sysctl: settings(sysctl ?? {}),
      conntrack: undefined,
    },
    { ...foreign, severalNetns },
  );
  return causesOf(findings);
}

const inBridge: Chain = {
  family: 'bridge',
  hook: 'forward',
  rules: [
    [port(53), DROP],
    [port(5000), DROP],
  ],
};
const atDevice: Chain = { family: 'netdev', hook: 'ingress', rules: [[port(5000), DROP]] };
const atPort = [dropsAt('p1', [toPort(5000, 80)])];
const rulesOf = async (one: Case) =>
  (await judge(one)).map(({ scope, packets }) => [scope.rule, packets]);

test('a rule of a bridge: named, though the IP layer misses nothing', async () => {
  const [finding, ...others] = await judge({ chains: [inBridge], drops: atPort });
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    confidence: 'likely',
    packets: 80,
    scope: { rule: 'bridge t forward: udp dport 5000 drop' },
    claims: [{ location: 'nft_do_chain', protocol: 0x0800, interface: 'p1', packets: 80 }],
    flows: [{ packets: 80 }],
  });
  expect(finding?.means).toContain('the rule with handle 2 in chain forward of table bridge t');
  // The IP layer has nothing to do with it.
  expect(finding?.traffic).toBeUndefined();
  expect(finding?.because.map(({ source }) => source)).not.toContain(
    '/proc/net/snmp, /proc/net/snmp6',
  );
});

test('a rule for ARP, and another one at a device, for the same request', async () => {
  const request = [
    match('arp', 'operation', 'request'),
    match('arp', 'daddr ip', '10.77.0.3'),
    DROP,
  ];
  const drops = [dropsAt('eth0', [{ ...GUEST, arpOperation: 1, packets: 60 }], EtherType.ARP)];
  const ofArp: Chain = { family: 'arp', hook: 'input', rules: [request] };
  const atIngress: Chain = { family: 'netdev', hook: 'ingress', rules: [request] };
  const text = 'arp operation request arp daddr ip 10.77.0.3 drop';
  expect(await rulesOf({ chains: [ofArp], drops })).toEqual([[`arp t input: ${text}`, 60]]);
  expect(await rulesOf({ chains: [ofArp, atIngress], drops })).toEqual([
    [`netdev t ingress: ${text}`, 60],
  ]);
});

test.each<[string, Case]>([
  [
    'no rule there meets the flow',
    { chains: [inBridge], drops: [dropsAt('p1', [toPort(54, 80)])] },
  ],
  ['another device', { chains: [atDevice], drops: [dropsAt('eth1', [toPort(5000, 80)])] }],
  [
    'a device that is no port',
    { chains: [inBridge], drops: [dropsAt('eth0', [toPort(5000, 80)])] },
  ],
  [
    'a namespace that nobody could tell',
    { chains: [inBridge], drops: [dropsAt(null, [toPort(5000, 80)])] },
  ],
  [
    'rules for IP that may have met what is bridged',
    {
      chains: [inBridge, { family: 'inet', hook: 'forward', policy: 'drop' }],
      drops: atPort,
      sysctl: { 'net.bridge.bridge-nf-call-iptables': 1 },
    },
  ],
  ['nothing was refused', { chains: [inBridge, atDevice], drops: [] }],
])('nobody is blamed: %s', async (_, one) => {
  expect(await judge(one)).toEqual([]);
});

test('tracefs tells no interface: nothing is said where there are several namespaces', async () => {
  const [{ details: _, ...traced }] = [dropsAt('p1', [toPort(5000, 80)])];
  const alone: Chain = { family: 'bridge', hook: 'forward', rules: [[port(5000), DROP]] };
  expect(await judge({ chains: [alone], drops: [traced] })).toEqual([]);
  const [finding] = await judge({ chains: [alone], drops: [traced], severalNetns: false });
  expect(finding).toMatchObject({ packets: 80, claims: [{ packets: 80 }] });
  expect(finding?.claims[0]).not.toHaveProperty('interface');
});

test('what a counter counted is taken off first', async () => {
  const counting = (packets: number): Chain => ({
    ...inBridge,
    rules: [
      [port(53), COUNTER(packets), DROP],
      [port(5000), DROP],
    ],
  });
  const drops = [dropsAt('p1', [toPort(53, 50), toPort(5000, 80)])];
  expect(await rulesOf({ first: [counting(7)], chains: [counting(57)], drops })).toEqual([
    ['bridge t forward: udp dport 53 counter drop', 50],
    ['bridge t forward: udp dport 5000 drop', 80],
  ]);
});

const policy: Chain = { family: 'ip', hook: 'input', policy: 'drop' };
const mixed = [dropsAt('eth0', [toPort(5000, 80), toPort(54, 30)])];
const missed = (packets: number): Counters => ({ 'Ip.InReceives': packets });

test('a policy of the IP layer and a rule at the device: each its own', async () => {
  expect(await rulesOf({ chains: [atDevice, policy], drops: mixed, ip: missed(30) })).toEqual([
    ['netdev t ingress: udp dport 5000 drop', 80],
    ['ip t input: policy drop', 30],
  ]);
});

test('what cannot be decided: the IP layer has what it misses, of the rest both are suspects', async () => {
  const undecided: Chain = { ...atDevice, rules: [[ofMac, DROP]] };
  const [rest, ofIp] = await judge({ chains: [undecided, policy], drops: mixed, ip: missed(30) });
  expect(ofIp).toMatchObject({ packets: 30, scope: { rule: 'ip t input: policy drop' } });
  expect(rest).toMatchObject({ packets: 80, fixes: [] });
  expect(rest?.means).toContain('One of these');
  expect(rest?.means).toContain('ip t input: policy drop; netdev t ingress: ether saddr');
});

test('a counted rule claims what it is for: ARP is not IP, and not-IP is neither', async () => {
  const counted = (expr: readonly Json[], packets: number): Chain => ({
    family: 'netdev',
    hook: 'ingress',
    rules: [[...expr, COUNTER(packets), DROP]],
  });
  const protocolOf = async (...expr: readonly Json[]) => {
    const chains = [counted(expr, 9)];
    const [finding] = await judge({ first: [counted(expr, 0)], chains, drops: mixed });
    return finding?.claims.map(({ protocol }) => protocol);
  };
  expect(await protocolOf(match('arp', 'saddr ip', '10.77.0.1'))).toEqual([[EtherType.ARP]]);
  expect(await protocolOf(match('ip', 'saddr', '10.77.0.1'))).toEqual([[EtherType.IPv4]]);
  const other: Json = {
    match: { op: '!=', left: { payload: { protocol: 'ether', field: 'type' } }, right: 'ip' },
  };
  expect(await protocolOf(other)).toEqual([undefined]);
});
