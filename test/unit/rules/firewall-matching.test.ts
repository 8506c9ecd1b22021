import { expect, test } from 'vitest';

import type { NftSet } from '../../../checks/firewall.ts';
import { elementsOf, statementsFor } from '../../../checks/firewall/statements.ts';
import type { Json } from '../../../checks/firewall/json.ts';
import { conditionText } from '../../../rules/netfilter/match/condition-text.ts';
import { addressTypes, flowsOf, placesOf } from '../../../rules/netfilter/match/flows.ts';
import { parseAddress } from '../../../rules/netfilter/match/intervals.ts';
import type { InterfaceKind, PacketAtHook } from '../../../rules/netfilter/match/packet.ts';
import { PLACES, type Place } from '../../../rules/netfilter/match/places.ts';
import { outcomeOf } from '../../../rules/netfilter/match/statements.ts';
import type { DropCount, DropFlow } from '../../../src/model/drops.ts';

const flow: DropFlow = {
  source: '10.77.0.1',
  destination: '10.77.0.2',
  ports: { source: 4000, destination: 5000 },
  packets: 100,
};
const drop: DropCount = {
  reason: 'NETFILTER_DROP',
  location: 'nft_do_chain',
  protocol: 0x0800,
  packets: 100,
  edgePackets: 0,
  details: {
    netns: 1,
    ifindex: 2,
    interface: 'eth0',
    ipProtocol: 17,
    topFlows: [flow],
    flowCount: 1,
    flowsApproximate: false,
    samples: [],
    stack: [],
  },
};

function surroundings(
  protocol: number,
  invalid: number | undefined,
  kind: InterfaceKind | undefined = 'other',
) {
  const local = ['10.77.0.2', { prefix: '127.0.0.0', bits: 8 }, 'fd00::2'];
  return {
    typesOf: addressTypes(protocol, { local, broadcast: ['10.77.0.255'] }),
    invalid,
    kindOf: () => kind,
    severalNetns: true,
  };
}

/** The only flow of a drop, as the hook sees it. */
function packetOf(
  change: Partial<DropFlow> = {},
  ofDrop: { protocol?: number; ipProtocol?: number | null } = {},
  invalid: number | undefined = 0,
  place: Place = 'input',
  kind: InterfaceKind | undefined = 'other',
): PacketAtHook {
  const { protocol = 0x0800, ipProtocol = 17 } = ofDrop;
  const { details } = drop;
  const topFlows = [{ ...flow, ...change }];
  const [only] = flowsOf(
    { ...drop, protocol, ...(details && { details: { ...details, ipProtocol, topFlows } }) },
    surroundings(protocol, invalid, kind),
  );
  if (only === undefined) throw new Error('no flow');
  return { ...only.packet, place };
}

const udp = packetOf();
const tcp = packetOf({}, { ipProtocol: 6 });
const ipv6 = packetOf({ source: 'fd00::1', destination: 'fd00::2' }, { protocol: 0x86dd });
const icmp = packetOf({ icmp: { type: 8, code: 0 } }, { ipProtocol: 1 });
const icmpv6 = packetOf({ icmp: { type: 135, code: 0 } }, { protocol: 0x86dd, ipProtocol: 58 });
/** All that tracefs tells. */
const { details: _, ...traced } = drop;
const [anonymous] = flowsOf(traced, surroundings(0x0800, 0)).map(({ packet }) => ({
  ...packet,
  place: 'input' as const,
}));
const arp = packetOf({ arpOperation: 1 }, { protocol: 0x0806, ipProtocol: null }, 0, 'arp input');
/** A frame of LLDP, of which there are MAC addresses. */
const frame = packetOf(
  { source: '02:00:00:00:00:01', destination: '01:80:c2:00:00:0e' },
  { protocol: 0x88cc, ipProtocol: null },
  0,
  'ingress',
);
const tagged = packetOf({ vlan: 5 });
/** The tag is within the packet. */
const wrapped = packetOf({}, { protocol: 0x8100, ipProtocol: null }, 0, 'ingress');

const sets: Readonly<Record<string, Json>> = {
  networks: [
    { prefix: { addr: '192.0.2.0', len: 24 } },
    { prefix: { addr: '10.77.0.0', len: 24 } },
  ],
  others: ['192.0.2.1', { range: ['198.51.100.1', '198.51.100.9'] }],
  long: Array.from({ length: 500 }, (_, index) => ({
    prefix: { addr: `10.${index % 250}.${index >> 8}.0`, len: 24 },
  })),
  banned: [{ elem: { val: '10.77.0.1', timeout: 600, expires: 500 } }],
  expired: ['192.0.2.1'],
  services: [{ concat: ['10.77.0.2', 'udp', { range: [5000, 5010] }] }],
  empty: [],
};

function setOf(name: string): NftSet | undefined {
  const elements = sets[name];
  if (!Array.isArray(elements)) return undefined;
  const known = elementsOf(elements);
  return known && { elements: known, changing: name === 'banned' || name === 'expired' };
}

/** Whether a packet passes a match, as `nft -j list ruleset` writes it. */
function passes(left: Json, op: string, right: Json, packet: PacketAtHook | undefined): string {
  const [statement] = statementsFor([{ match: { op, left, right } }], () => undefined);
  if (statement === undefined || packet === undefined) throw new Error('no statement');
  return outcomeOf(statement, packet, setOf).passes;
}

const payload = (protocol: string, field: string): Json => ({ payload: { protocol, field } });
const meta = (key: string): Json => ({ meta: { key } });
const source = payload('ip', 'saddr');
const port = payload('udp', 'dport');
const state: Json = { ct: { key: 'state' } };
const fib = (address: string): Json => ({ fib: { result: 'type', flags: [address] } });
const prefix = (addr: string, len: number): Json => ({ prefix: { addr, len } });

type Row = readonly [Json, string, Json, PacketAtHook | undefined, 'yes' | 'no' | 'unknown'];

const rows: readonly Row[] = [
  // Operators
  [source, '==', '10.77.0.1', udp, 'yes'],
  [source, '==', '10.77.0.3', udp, 'no'],
  [source, '!=', '10.77.0.1', udp, 'no'],
  [source, '!=', '10.77.0.3', udp, 'yes'],
  [port, '<', 5000, udp, 'no'],
  [port, '<', 5001, udp, 'yes'],
  [port, '<=', 5000, udp, 'yes'],
  [port, '<=', 4999, udp, 'no'],
  [port, '>', 5000, udp, 'no'],
  [port, '>', 4999, udp, 'yes'],
  [port, '>=', 5000, udp, 'yes'],
  [port, '>=', 5001, udp, 'no'],
  [port, '~', 5000, udp, 'unknown'],
  // Right sides
  [source, '==', prefix('10.77.0.0', 24), udp, 'yes'],
  [source, '==', prefix('10.76.0.0', 15), udp, 'yes'],
  [source, '==', prefix('10.77.1.0', 24), udp, 'no'],
  [source, '!=', prefix('10.77.1.0', 24), udp, 'yes'],
  [source, '==', prefix('10.77.0.0', 64), udp, 'unknown'],
  [source, '==', { range: ['10.77.0.0', '10.77.0.1'] }, udp, 'yes'],
  [source, '==', { range: ['10.77.0.2', '10.77.0.9'] }, udp, 'no'],
  [port, '==', { set: [53, { range: [4990, 5000] }] }, udp, 'yes'],
  [port, '!=', { set: [53, { range: [4990, 5000] }] }, udp, 'no'],
  [port, '==', { set: [53, 'whatever'] }, udp, 'unknown'],
  [port, '==', { set: [5000, 'whatever'] }, udp, 'yes'],
  [source, '==', { '&': ['10.0.0.0', 5] }, udp, 'unknown'],
  [source, '==', '@networks', udp, 'yes'],
  [source, '==', '@others', udp, 'no'],
  [source, '!=', '@others', udp, 'yes'],
  [source, '==', '@long', udp, 'yes'],
  [source, '==', '@empty', udp, 'no'],
  [source, '==', '@missing', udp, 'unknown'],
  [source, '==', '@banned', udp, 'yes'],
  [source, '==', '@expired', udp, 'unknown'],
  [source, '!=', '@expired', udp, 'unknown'],
  [
    { concat: [payload('ip', 'daddr'), meta('l4proto'), payload('th', 'dport')] },
    '==',
    '@services',
    udp,
    'yes',
  ],
  [
    { concat: [payload('ip', 'daddr'), meta('l4proto'), payload('th', 'dport')] },
    '==',
    '@services',
    tcp,
    'no',
  ],
  [{ concat: [source, meta('mark')] }, '==', { concat: ['10.77.0.1', 5] }, udp, 'unknown'],
  [{ concat: [source, meta('mark')] }, '==', { concat: ['10.77.0.9', 5] }, udp, 'no'],
  [{ concat: [source, port] }, '==', { set: ['10.77.0.1'] }, udp, 'unknown'],
  // A packet without the field ends the rule, whatever the operator.
  [source, '!=', '10.77.0.9', ipv6, 'no'],
  [payload('tcp', 'dport'), '!=', 22, udp, 'no'],
  [payload('ip6', 'saddr'), '!=', 'fd00::9', udp, 'no'],
  [payload('icmp', 'type'), '!=', 'echo-reply', udp, 'no'],
  // Fields
  [payload('ip6', 'saddr'), '==', prefix('fd00::', 8), ipv6, 'yes'],
  [payload('ip6', 'daddr'), '==', 'fd00::3', ipv6, 'no'],
  [payload('ip', 'daddr'), '==', '10.77.0.2', udp, 'yes'],
  [payload('ip', 'protocol'), '==', 'udp', udp, 'yes'],
  [payload('ip6', 'nexthdr'), '==', 'udp', ipv6, 'unknown'],
  [meta('l4proto'), '==', { set: ['tcp', 'udp'] }, udp, 'yes'],
  [meta('l4proto'), '==', 'ipv6-icmp', udp, 'no'],
  [meta('l4proto'), '==', 17, udp, 'yes'],
  [meta('l4proto'), '==', 'tcp', packetOf({}, { protocol: 0x86dd, ipProtocol: 43 }), 'unknown'],
  [meta('nfproto'), '==', 'ipv6', ipv6, 'yes'],
  [meta('nfproto'), '==', 'ipv6', udp, 'no'],
  [meta('protocol'), '==', { set: ['ip', 'arp'] }, udp, 'yes'],
  [payload('udp', 'sport'), '==', 4000, udp, 'yes'],
  [payload('tcp', 'dport'), '==', 5000, tcp, 'yes'],
  [payload('th', 'dport'), '==', 5000, tcp, 'yes'],
  [payload('th', 'dport'), '==', 5000, icmp, 'no'],
  [payload('icmp', 'type'), '==', 'echo-request', icmp, 'yes'],
  [payload('icmp', 'type'), '==', 'echo-reply', icmp, 'no'],
  [
    payload('icmpv6', 'type'),
    '==',
    { set: ['nd-router-advert', 'nd-neighbor-solicit'] },
    icmpv6,
    'yes',
  ],
  [payload('ether', 'saddr'), '==', '00:11:22:33:44:55', udp, 'unknown'],
  [payload('tcp', 'flags'), '==', 'syn', tcp, 'unknown'],
  [meta('mark'), '==', 5, udp, 'unknown'],
  // Interfaces
  [meta('iifname'), '==', 'eth0', udp, 'yes'],
  [meta('iif'), '!=', 'lo', udp, 'yes'],
  [meta('iifname'), '==', 'eth*', udp, 'yes'],
  [meta('iifname'), '==', 'veth*', udp, 'no'],
  [meta('iifname'), '==', 'eth\\*', udp, 'no'],
  [meta('iif'), '==', 7, udp, 'unknown'],
  [meta('oifname'), '==', 'eth0', udp, 'no'],
  [meta('oifname'), '!=', 'eth0', udp, 'yes'],
  [meta('oif'), '==', 7, udp, 'no'],
  [meta('oifname'), '==', 'eth0', { ...udp, place: 'output' }, 'yes'],
  [meta('iifname'), '==', 'eth1', { ...udp, place: 'forward' }, 'no'],
  [meta('oifname'), '==', 'eth1', { ...udp, place: 'forward' }, 'unknown'],
  [meta('iifname'), '==', 'eth0', { ...udp, place: 'postrouting' }, 'unknown'],
  [meta('iifname'), '==', 'eth0', { ...udp, place: 'egress' }, 'no'],
  [meta('iifname'), '==', 'eth0', { ...udp, place: 'bridge prerouting' }, 'yes'],
  [meta('iifname'), '==', 'eth0', { ...udp, place: 'bridge input' }, 'unknown'],
  [meta('iifname'), '==', 'eth0', { ...udp, place: 'bridge forward' }, 'unknown'],
  [meta('oifname'), '==', 'eth0', { ...udp, place: 'bridge forward' }, 'yes'],
  [meta('iifname'), '==', 'eth0', { ...udp, place: 'bridge postrouting' }, 'no'],
  // Frames and ARP
  [payload('arp', 'operation'), '==', 'request', arp, 'yes'],
  [payload('arp', 'operation'), '==', { set: ['reply', 3] }, arp, 'no'],
  [payload('arp', 'saddr ip'), '==', prefix('10.77.0.0', 24), arp, 'yes'],
  [payload('arp', 'daddr ip'), '==', '10.77.0.3', arp, 'no'],
  [payload('arp', 'saddr ether'), '==', '02:00:00:00:00:01', arp, 'unknown'],
  [payload('arp', 'operation'), '!=', 'reply', udp, 'no'],
  [source, '!=', '10.77.0.9', arp, 'no'],
  [port, '!=', 53, arp, 'no'],
  [meta('l4proto'), '!=', 'tcp', arp, 'no'],
  [meta('nfproto'), '==', 'ipv4', { ...udp, place: 'bridge forward' }, 'unknown'],
  [meta('protocol'), '==', 'arp', arp, 'yes'],
  [payload('ether', 'type'), '==', 'arp', arp, 'yes'],
  [payload('ether', 'type'), '==', 0x88cc, frame, 'yes'],
  [payload('ether', 'type'), '!=', 'ip', frame, 'yes'],
  [payload('ether', 'type'), '==', 'ip', tagged, 'unknown'],
  [payload('ether', 'saddr'), '==', '02:00:00:00:00:01', frame, 'yes'],
  [payload('ether', 'daddr'), '==', '01:80:c2:00:00:00', frame, 'no'],
  [payload('vlan', 'id'), '==', 5, tagged, 'yes'],
  [payload('vlan', 'id'), '!=', 6, tagged, 'yes'],
  [payload('vlan', 'id'), '==', 5, udp, 'no'],
  // It may have no tag: then the rule ends.
  [payload('vlan', 'id'), '!=', 5, udp, 'unknown'],
  [payload('vlan', 'id'), '==', 5, wrapped, 'unknown'],
  [source, '==', '10.77.0.1', wrapped, 'unknown'],
  [port, '==', 5000, wrapped, 'unknown'],
  // Connections: only that none is invalid can be known.
  [state, 'in', ['established', 'related'], udp, 'unknown'],
  [state, 'in', 'invalid', udp, 'no'],
  [state, '!=', 'invalid', udp, 'yes'],
  [state, 'in', 'invalid', packetOf({}, {}, 100), 'unknown'],
  [state, 'in', 'invalid', packetOf({ packets: 100_000 }, {}, 100), 'no'],
  [state, '==', ['established', 'related'], udp, 'unknown'],
  // What routes call the addresses
  [fib('daddr'), '==', 'local', udp, 'yes'],
  [fib('saddr'), '==', 'local', udp, 'no'],
  [
    fib('daddr'),
    '==',
    { set: ['broadcast', 'multicast'] },
    packetOf({ destination: '10.77.0.255' }),
    'yes',
  ],
  [fib('daddr'), '==', 'multicast', packetOf({ destination: '224.0.0.251' }), 'yes'],
  [fib('daddr'), '!=', 'local', packetOf({ destination: '8.8.8.8' }), 'yes'],
  [fib('daddr'), '==', 'unicast', packetOf({ destination: '8.8.8.8' }), 'unknown'],
  // tracefs knows the EtherType, and no more.
  [source, '==', '10.77.0.1', anonymous, 'unknown'],
  [payload('ip6', 'saddr'), '==', 'fd00::1', anonymous, 'no'],
  [port, '==', 5000, anonymous, 'unknown'],
  [meta('iifname'), '==', 'eth0', anonymous, 'unknown'],
  [fib('daddr'), '==', 'local', anonymous, 'unknown'],
];

test.each(
  rows.map((row) => {
    const [left, op, right] = row;
    const [statement] = statementsFor([{ match: { left, op, right } }], () => undefined);
    return [statement === undefined ? '' : conditionText(statement), row[4], row] as const;
  }),
)('%s: %s', (_, expected, [left, op, right, packet]) => {
  expect(passes(left, op, right, packet)).toBe(expected);
});

test.each<[string, number | bigint]>([
  ['0.0.0.0', 0],
  ['255.255.255.255', 0xffff_ffff],
  ['::', 0n],
  ['::1', 1n],
  ['fe80::1:2', (0xfe80n << 112n) | 0x1_0002n],
  ['1:2:3:4:5:6:7:8', 0x1_0002_0003_0004_0005_0006_0007_0008n],
  ['::ffff:10.0.0.1', 0xffff_0a00_0001n],
])('the address %s', (text, expected) => {
  expect(parseAddress(text)).toBe(expected);
});

test.each([
  ['1.2.3'],
  ['1.2.3.4.5'],
  ['1.2.3.256'],
  ['1.2..4'],
  ['1::2::3'],
  ['1:2:3:4:5:6:7'],
  ['g::'],
  ['::1.2.3'],
  ['00:11:22:33:44:55'],
])('no address: %s', (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

test.each<[string, PacketAtHook, readonly Place[]]>([
  ['to this host', udp, ['ingress', 'prerouting', 'input']],
  [
    'to the whole subnet',
    packetOf({ destination: '10.77.0.255' }),
    ['ingress', 'prerouting', 'input'],
  ],
  [
    'from this host',
    packetOf({ source: '10.77.0.2', destination: '8.8.8.8' }),
    ['output', 'postrouting', 'egress'],
  ],
  [
    'forwarded',
    packetOf({ destination: '8.8.8.8' }),
    ['ingress', 'prerouting', 'forward', 'postrouting', 'egress'],
  ],
  [
    'to itself',
    packetOf({ source: '127.0.0.1', destination: '127.0.0.1' }),
    ['ingress', 'prerouting', 'input', 'output', 'postrouting', 'egress'],
  ],
  ['ARP', arp, ['ingress', 'arp input', 'arp output', 'egress']],
  ['a frame of another protocol', frame, ['ingress', 'egress']],
  [
    'taken in by a bridge',
    packetOf({}, {}, 0, 'input', 'bridge'),
    ['ingress', 'bridge input', 'prerouting', 'input'],
  ],
  [
    'at a port of a bridge',
    packetOf({}, {}, 0, 'input', 'bridge port'),
    [
      'ingress',
      'bridge prerouting',
      'bridge forward',
      'bridge output',
      'bridge postrouting',
      'egress',
    ],
  ],
])('where packets can have met rules: %s', (_, packet, places) => {
  expect(placesOf(packet)).toEqual(places);
});

test('addresses that nobody could tell leave all hooks of IP open', () => {
  const [unknown] = flowsOf(drop, {
    ...surroundings(0x0800, 0),
    typesOf: addressTypes(0x0800, undefined),
  });
  expect(unknown && placesOf(unknown.packet)).toHaveLength(7);
});

test('an interface of which nobody knows what it is leaves the bridge open', () => {
  const [unknown] = flowsOf(drop, { ...surroundings(0x0806, 0), kindOf: () => undefined });
  expect(unknown && placesOf({ ...unknown.packet, etherType: 0x0806 })).toEqual(
    PLACES.filter((place) => /^(bridge|arp|ingress|egress)/.test(place)),
  );
});

test.each([
  ['an interface that the capture tells', drop, true, true],
  ['none that it tells', traced, true, false],
  ['none, where there is one namespace only', traced, false, true],
])('whether it was here: %s', (_, one, severalNetns, isHere) => {
  const [flow] = flowsOf(one, { ...surroundings(0x0800, 0), severalNetns });
  expect(flow?.packet.isHere).toBe(isHere);
});

test('packets beyond the known flows are a flow of which less is known', () => {
  const flows = flowsOf({ ...drop, packets: 130 }, surroundings(0x0800, 0));
  expect(flows.map(({ packets }) => packets)).toEqual([100, 30]);
  expect(flows[1]?.packet).toMatchObject({ ipProtocol: 17, interface: 'eth0' });
  expect(flows[1]?.packet.source).toBeUndefined();
});
