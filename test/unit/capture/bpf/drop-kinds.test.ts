import { expect, test } from 'vitest';
import { dropKinds, type Names } from '../../../../src/capture/bpf/drop-kinds.ts';
import { ipv6Address } from '../../../../src/capture/bpf/flow.ts';
import { parseTable } from '../../../../src/capture/bpf/layout.ts';
import type { RawCapture } from '../../../../src/capture/bpf/program.ts';
import { tableBytes } from './table.ts';

const names: Names = {
  hasReasons: true,
  reasons: { names: new Map([[12, 'NETFILTER_DROP']]), subsystems: new Map([[2, 'OPENVSWITCH']]) },
  locations: new Map([
    ['ffffffff81000010', { location: 'nft_do_chain', module: 'nf_tables' }],
    ['ffffffff81000020', { location: 'nft_do_chain', module: 'nf_tables' }],
    ['ffffffff81000030', { location: 'ip_local_deliver' }],
    ['ffffffff81000040', { location: 'bpf_trace_run4' }],
  ]),
  bootUs: 1_000_000,
};
const place = { location: 0xffff_ffff_8100_0010n, reason: 12, netns: 4_026_532_001, ifindex: 2 };
const ipv4 = { protocol: 0x0800, ipProtocol: 17 };
const empty: RawCapture = { tables: [], sites: [], samples: [], missed: 0 };

test('CPUs and addresses of one function are added up; interfaces are not', () => {
  const first = tableBytes({
    counts: [
      { at: 0, ...place, ...ipv4, packets: 10n, edgePackets: 1n, name: 'eth0' },
      { at: 1, ...place, ...ipv4, ifindex: 3, packets: 4n, name: 'eth1' },
    ],
    flows: [
      {
        at: 0,
        count: 0,
        source: [10, 0, 0, 1],
        destination: [10, 0, 0, 2],
        ports: [1000, 53],
        packets: 10n,
      },
    ],
  });
  const second = tableBytes({
    counts: [
      { at: 9, ...place, ...ipv4, location: 0xffff_ffff_8100_0020n, packets: 5n, name: 'eth0' },
    ],
    flows: [
      {
        at: 0,
        count: 9,
        source: [10, 0, 0, 1],
        destination: [10, 0, 0, 2],
        ports: [1000, 53],
        packets: 2n,
      },
      {
        at: 1,
        count: 9,
        source: [10, 0, 0, 9],
        destination: [10, 0, 0, 2],
        ports: [5, 53],
        vlan: 7,
        packets: 3n,
        socket: 77n,
      },
    ],
  });
  const drops = dropKinds({ ...empty, tables: [parseTable(first), parseTable(second)] }, names);
  expect(drops).toMatchObject([
    {
      reason: 'NETFILTER_DROP',
      location: 'nft_do_chain',
      module: 'nf_tables',
      protocol: 0x0800,
      packets: 15,
      edgePackets: 1,
      details: {
        netns: 4_026_532_001,
        ifindex: 2,
        interface: 'eth0',
        ipProtocol: 17,
        flowCount: 2,
      },
    },
    { packets: 4, edgePackets: 0, details: { interface: 'eth1', topFlows: [], flowCount: 0 } },
  ]);
  expect(drops[0]?.details?.topFlows).toEqual([
    {
      source: '10.0.0.1',
      destination: '10.0.0.2',
      ports: { source: 1000, destination: 53 },
      packets: 12,
    },
    {
      source: '10.0.0.9',
      destination: '10.0.0.2',
      ports: { source: 5, destination: 53 },
      vlan: 7,
      packets: 3,
      socket: 77,
    },
  ]);
  // JSON loses nothing.
  expect(JSON.parse(JSON.stringify(drops))).toEqual(drops);
});

test('a packet without a device has the interface name that another drop knows', () => {
  const table = tableBytes({
    counts: [
      { at: 0, ...place, ...ipv4, packets: 1n, name: 'eth0' },
      { at: 1, ...place, ...ipv4, ipProtocol: 6, packets: 2n },
      { at: 2, ...place, ...ipv4, ifindex: 0, netns: 0, packets: 3n },
    ],
  });
  const drops = dropKinds({ ...empty, tables: [parseTable(table)] }, names);
  expect(
    drops.map(({ details }) => [details?.netns, details?.ifindex, details?.interface]),
  ).toEqual([
    [null, null, null],
    [4_026_532_001, 2, 'eth0'],
    [4_026_532_001, 2, 'eth0'],
  ]);
});

test('what was not told apart is counted under no false name', () => {
  const table = tableBytes({
    counts: [
      { at: 0, ...place, netns: 0, ifindex: 0, folded: true, packets: 5n },
      { at: 1, location: 1n, reason: 0x20005, packets: 2n },
      { at: 2, location: 1n, reason: 0x30001, packets: 1n },
    ],
    overflow: 9n,
  });
  const drops = dropKinds({ ...empty, tables: [parseTable(table)] }, names);
  expect(
    drops.map(({ reason, location, protocol, packets }) => [reason, location, protocol, packets]),
  ).toEqual([
    ['other', 'other', 0xffff, 9],
    ['NETFILTER_DROP', 'nft_do_chain', 0xffff, 5],
    ['OPENVSWITCH reason 5', '0x0000000000000001', 0, 2],
    ['subsystem 3 reason 1', '0x0000000000000001', 0, 1],
  ]);
});

test('samples in the order of time, stacks from the place on', () => {
  const kind = {
    location: 'ffffffff81000010',
    reason: 12,
    netns: 4_026_532_001,
    ifindex: 2,
    ...ipv4,
  };
  const table = parseTable(tableBytes({ counts: [{ at: 0, ...place, ...ipv4, packets: 9n }] }));
  const sample = {
    ...kind,
    length: 60,
    vlan: 0,
    link: 'ethernet',
    bytes: Uint8Array.of(1, 2),
  } as const;
  const [drop] = dropKinds(
    {
      ...empty,
      tables: [table],
      samples: Array.from({ length: 20 }, (_, index) => ({
        ...sample,
        timeNs: (20 - index) * 1000,
      })),
      sites: [{ ...kind, stack: ['ffffffff81000040', 'ffffffff81000020', 'ffffffff81000030'] }],
    },
    names,
  );
  expect(drop?.details?.samples.map(({ timeUs }) => timeUs - 1_000_000)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8,
  ]);
  expect(drop?.details?.samples[0]).toEqual({
    timeUs: 1_000_001,
    link: 'ethernet',
    length: 60,
    bytes: 'AQI=',
  });
  expect(drop?.details?.stack).toEqual(['nft_do_chain', 'ip_local_deliver']);
});

test('what is said between Unix sockets is not kept', () => {
  const kind = { ...place, protocol: 0, ipProtocol: 0 };
  const table = parseTable(tableBytes({ counts: [{ at: 0, ...kind, packets: 1n }] }));
  const sample = {
    ...kind,
    location: 'ffffffff81000010',
    timeNs: 1000,
    length: 6,
    vlan: 0,
    link: 'network',
    bytes: Buffer.from('secret'),
  } as const;
  const [drop] = dropKinds({ ...empty, tables: [table], samples: [sample] }, names);
  expect(drop).toMatchObject({ packets: 1, details: { samples: [] } });
});

test('flows of other protocols', () => {
  const mac = [2, 0, 0, 0, 0, 1];
  const flowOf = (kind: object, flow: object): unknown => {
    const bytes = tableBytes({
      counts: [{ at: 0, ...place, ...kind, packets: 1n }],
      flows: [{ at: 0, count: 0, source: mac, destination: mac, packets: 1n, ...flow }],
    });
    return dropKinds({ ...empty, tables: [parseTable(bytes)] }, names)[0]?.details?.topFlows[0];
  };
  expect(flowOf({ protocol: 0x88cc }, {})).toMatchObject({ source: '02:00:00:00:00:01' });
  expect(flowOf({ protocol: 0x0806 }, { ports: [1, 0] })).toMatchObject({
    source: '2.0.0.0',
    arpOperation: 1,
  });
  expect(flowOf({ protocol: 0x0800, ipProtocol: 1 }, { ports: [0x0304, 0x0100] })).toMatchObject({
    icmp: { type: 3, code: 4 },
  });
  expect(flowOf({ protocol: 0x86dd, ipProtocol: 58 }, { ports: [0x8000, 0x0100] })).toMatchObject({
    source: '200:0:1::',
    icmp: { type: 128, code: 0 },
  });
  expect(flowOf({ protocol: 0 }, { source: [], destination: [] })).toBeUndefined();
});

test.each([
  '::',
  '::1',
  'fe80::',
  '2001:db8::1:0:0:1',
  '1:0:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8',
  '1:0:0:2::',
  '::ffff:0:0',
  '0:1:2:3:4:5:6:7',
])('IPv6 %s', (text) => expect(ipv6Address(groups(text))).toBe(text));

/** The bytes of an address. */
function groups(text: string): Uint8Array {
  const [before = '', behind] = text.split('::');
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const zeros = behind === undefined ? 0 : 8 - parse(before).length - parse(behind).length;
  const all = [...parse(before), ...Array<number>(zeros).fill(0), ...parse(behind ?? '')];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
