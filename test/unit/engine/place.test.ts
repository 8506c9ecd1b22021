import { expect, test } from 'vitest';
import { placeDrops } from '../../../src/engine/place.ts';
import {
  flowsOf,
  inProportion,
  interfaceOf,
  ofFlows,
  ownerOf,
  whereaboutsOf,
} from '../../../src/engine/whereabouts.ts';
import type { Companions, PeerEvents } from '../../../src/model/companions.ts';
import { EtherType, type DropCount, type DropDetails } from '../../../src/model/drops.ts';
import { captureOf } from './scripted.ts';

const HERE = 4026532000;

function drop(packets: number, details?: Partial<DropDetails>): DropCount {
  const known: DropDetails = {
    netns: HERE,
    ifindex: 2,
    interface: 'eth0',
    ipProtocol: 17,
    topFlows: [],
    flowCount: 0,
    flowsApproximate: false,
    samples: [],
    stack: [],
    ...details,
  };
  return {
    reason: 'IP_RPFILTER',
    location: 'ip_rcv_finish_core',
    protocol: 0x0800,
    packets,
    edgePackets: 0,
    ...(details === undefined ? {} : { details: known }),
  };
}

test('BPF tells the namespace: only its drops are judged, the others are elsewhere', () => {
  const capture = captureOf([drop(5, {}), drop(7, { netns: 4026532001 })]);
  const placed = placeDrops(capture, HERE, true);
  expect(placed.known).toBe(true);
  expect(placed.capture.drops.map(({ packets }) => packets)).toEqual([5]);
  expect(placed.others.map(({ packets }) => packets)).toEqual([7]);
});

test.each([
  [false, [3], []],
  [true, [], [3]],
])('a drop of no namespace counts for the initial one (foreign: %s)', (foreign, here, others) => {
  const placed = placeDrops(captureOf([drop(3, { netns: null })]), HERE, foreign);
  expect(placed.capture.drops.map(({ packets }) => packets)).toEqual(here);
  expect(placed.others.map(({ packets }) => packets)).toEqual(others);
});

test('tracefs tells no namespace, so nothing is placed', () => {
  const capture = captureOf([drop(5)]);
  expect(placeDrops(capture, HERE, true)).toEqual({ capture, others: [], known: false });
});

test('a namespace that could not be told apart places nothing', () => {
  const capture = captureOf([drop(5, {})]);
  expect(placeDrops(capture, null, false).known).toBe(false);
});

test('one interface is named when nine of ten packets came by it, and not below', () => {
  const other = drop(1, { interface: 'eth1' });
  const nine = drop(9, {});
  expect(interfaceOf(new Map([[nine, 9]]).set(other, 1))).toBe('eth0');
  expect(interfaceOf(new Map([[nine, 8]]).set(other, 1))).toBeUndefined();
  expect(interfaceOf(new Map([[drop(9), 9]]))).toBeUndefined();
});

test('eth0 of two namespaces are two interfaces', () => {
  const web = drop(5, {});
  const db = drop(5, { netns: HERE + 1 });
  expect(interfaceOf(new Map([[web, 5]]).set(db, 5))).toBeUndefined();
});

test('flows are brought down to the packets of the cause: the edges of the window are claimed too', () => {
  const flow = { source: '10.0.0.1', destination: '10.0.0.2', packets: 300 };
  const sources = new Map([[drop(300, { topFlows: [flow] }), 300]]);
  const told = (packets: number) => flowsOf(inProportion(sources, packets))[0]?.text;
  expect(told(100)).toMatch(/^about 100 of them/);
  expect(told(300)).toMatch(/^300 of them/);
  expect(inProportion(sources, 0)).toEqual(sources);
});

test("of a kind of drop that several causes share, no flow is named that may be another one's", () => {
  const flow = (packets: number, source: string) => ({ source, destination: '10.0.0.2', packets });
  const several = drop(300, { topFlows: [flow(240, '10.0.0.1'), flow(60, '10.0.0.3')] });
  const told = (kind: DropCount, packets: number) =>
    flowsOf(inProportion(new Map([[kind, packets]]), packets)).map(
      ({ text }) => text.split(' of them')[0],
    );
  expect(told(several, 100)).toEqual([]);
  expect(told(several, 300)).toEqual(['240', '60']);
  // Nearly all of them, or one flow: no more than the packets of the cause.
  expect(told(several, 280)).toEqual(['about 224', 'about 56']);
  expect(told(drop(300, { topFlows: [flow(300, '10.0.0.1')] }), 100)).toEqual(['about 100']);
});

test('flows are named busiest first, and said to be estimates when they are', () => {
  const flow = (packets: number, source: string) => ({
    source,
    destination: '2001:db8::2',
    ports: { source: 4000, destination: 53 },
    packets,
  });
  const exact = drop(9, { topFlows: [flow(2, '10.0.0.1'), flow(7, '2001:db8::1')] });
  expect(flowsOf(new Map([[exact, 9]])).map(({ text }) => text)).toEqual([
    '7 of them: UDP [2001:db8::1]:4000 → [2001:db8::2]:53',
    '2 of them: UDP 10.0.0.1:4000 → [2001:db8::2]:53',
  ]);
  const estimate = drop(9, { topFlows: [flow(9, '10.0.0.1')], flowsApproximate: true });
  expect(flowsOf(new Map([[estimate, 9]]))[0]?.text).toMatch(/^about 9 of them/);
  expect(flowsOf(new Map([[drop(9), 9]]))).toEqual([]);
});

test('causes that share a kind of drop have each their own flows', () => {
  const flow = (source: string) => ({ source, destination: '10.0.0.9', packets: 5 });
  const [one, other] = [flow('10.0.0.1'), flow('10.0.0.2')];
  const sources = new Map([[drop(10, { topFlows: [one, other] }), 5]]).set(drop(1), 1);
  expect(flowsOf(ofFlows(sources, [other])).map(({ text }) => text)).toEqual([
    '5 of them: UDP 10.0.0.2 → 10.0.0.9',
  ]);
  expect(flowsOf(ofFlows(sources, []))).toEqual([]);
  expect(ofFlows(sources, undefined)).toBe(sources);
});

test('a flow is told by what distinguishes it: VLAN, ARP operation, type of ICMP', () => {
  const ends = { source: '10.0.0.1', destination: '10.0.0.2', packets: 1 };
  const told = (protocol: number, details: Partial<DropDetails>): unknown => {
    const kind = { ...drop(1, details), protocol };
    return whereaboutsOf(new Map([[kind, 1]]));
  };
  const arp = told(EtherType.ARP, { ipProtocol: null, topFlows: [{ ...ends, arpOperation: 1 }] });
  expect(arp).toEqual({
    interface: 'eth0',
    flows: [{ flow: 'ARP request 10.0.0.1 → 10.0.0.2', packets: 1 }],
  });
  const icmp = { ...ends, vlan: 7, icmp: { type: 3, code: 1 } };
  expect(told(EtherType.IPv4, { ipProtocol: 1, topFlows: [icmp] })).toMatchObject({
    flows: [{ flow: 'VLAN 7 ICMP type 3 code 1 10.0.0.1 → 10.0.0.2' }],
  });
  expect(whereaboutsOf(new Map([[drop(9), 9]]))).toEqual({});
});

test('what sockets told is placed, too', () => {
  const row = (netns: number | null, packets: number): PeerEvents => ({
    netns,
    local: null,
    localPort: null,
    remote: '10.0.0.2',
    remotePort: null,
    packets,
    handshakePackets: 0,
  });
  const retransmits = {
    rows: [row(HERE, 3), row(HERE + 1, 2), row(null, 1)],
    rest: [
      { netns: HERE, packets: 5 },
      { netns: HERE + 1, packets: 6 },
    ],
  };
  const companions: Companions = {
    fullSockets: null,
    retransmits,
    synAckRetransmits: null,
    resetsSent: null,
    resetsReceived: null,
    badChecksums: null,
    missed: 0,
  };
  // Also when the drops themselves cannot be placed.
  const capture = { ...captureOf([drop(5)]), companions };
  const here = (foreign: boolean) => placeDrops(capture, HERE, foreign).capture.companions;
  expect(here(true)?.retransmits).toEqual({
    rows: [row(HERE, 3)],
    rest: [{ netns: HERE, packets: 5 }],
  });
  expect(here(false)?.retransmits?.rows).toEqual([row(HERE, 3), row(null, 1)]);
  expect(here(true)?.fullSockets).toBeNull();
});

test('one process is named when nine of ten packets were its own, and not below', () => {
  const nginx = { pid: 7, name: 'nginx' };
  const owners = new Map([[55, nginx]]);
  const flow = (packets: number, socket?: number) => ({
    source: '10.0.0.1',
    destination: '10.0.0.2',
    packets,
    ...(socket === undefined ? {} : { socket }),
  });
  const dropsOf = (...topFlows: readonly ReturnType<typeof flow>[]) =>
    new Map([[drop(10, { topFlows }), 10]]);
  expect(ownerOf(dropsOf(flow(5, 55), flow(4, 55), flow(1)), owners)).toEqual(nginx);
  expect(ownerOf(dropsOf(flow(8, 55), flow(2, 56)), owners)).toBeUndefined();
  expect(ownerOf(dropsOf(flow(10, 56)), owners)).toBeUndefined();
  expect(ownerOf(dropsOf(flow(10, 55)), undefined)).toBeUndefined();
  expect(ownerOf(new Map([[drop(10), 10]]), owners)).toBeUndefined();
});
