import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DropClaim, ExplainedDrop } from '../../../src/engine/explained-drops.ts';
import type { DropCount, DropDetails, DropSample } from '../../../src/model/drops.ts';
import { renderPcapng } from '../../../src/render/pcapng.ts';
import { readPcapng, type ReadFile, type ReadPacket } from './pcapng-reader.ts';
import { sampleReport } from './sample-report.ts';

const ADDRESSES = 'aabbccddeeff112233445566';
const UDP = '4500001c000000004011000001020304050607080001000200080000';

function sample(hex: string, more: Partial<DropSample> = {}): DropSample {
  const bytes = Buffer.from(hex, 'hex');
  return {
    timeUs: 1_795_325_458_828_391,
    link: 'ethernet',
    length: bytes.length,
    bytes: bytes.toString('base64'),
    ...more,
  };
}

interface Setup {
  readonly drop?: Partial<DropCount>;
  readonly details?: Partial<DropDetails>;
  readonly claims?: readonly Partial<DropClaim>[];
}

function dropped(
  samples: readonly DropSample[],
  { drop, details, claims = [] }: Setup = {},
): ExplainedDrop {
  return {
    drop: {
      reason: 'NETFILTER_DROP',
      location: 'nft_do_chain',
      protocol: 0x0800,
      packets: 10,
      edgePackets: 0,
      details: {
        netns: 4026532000,
        ifindex: 2,
        interface: 'vb',
        ipProtocol: 17,
        topFlows: [],
        flowCount: 0,
        flowsApproximate: false,
        samples,
        stack: [],
        ...details,
      },
      ...drop,
    },
    claims: claims.map((claim) => ({
      kind: 'cause',
      id: 'nf-rule-drop',
      title: 'A rule drops packets',
      packets: 10,
      ...claim,
    })),
  };
}

function read(drops: readonly ExplainedDrop[], interfaces: string[] = []): ReadFile {
  const report = { ...sampleReport, scope: { netns: ['b'], interfaces } };
  const { bytes, packets } = renderPcapng(report, drops);
  const file = readPcapng(bytes);
  expect(file.packets).toHaveLength(packets);
  return file;
}

function readOne(taken: DropSample, setup?: Setup): ReadPacket | undefined {
  return read([dropped([taken], setup)]).packets[0];
}

test('a packet: its bytes, its length on the wire, its time, and whose it was', () => {
  const frame = `${ADDRESSES}0800${UDP}`;
  const { section, packets } = read([
    dropped([sample(frame, { length: 1500 })], { claims: [{}], drop: { module: 'nf_tables' } }),
  ]);
  expect(packets).toEqual([
    {
      timeUs: 1_795_325_458_828_391n,
      length: 1500,
      bytes: Buffer.from(frame, 'hex'),
      linkType: 1,
      interface: 'vb',
      description: 'network namespace b',
      comment:
        'cause nf-rule-drop: A rule drops packets\n' +
        'NETFILTER_DROP @ nft_do_chain [nf_tables]\n' +
        'namespace b, interface vb',
    },
  ]);
  expect([...section]).toEqual([
    [1, 'Packets dropped on web1 in 5.01 s: a sample, the first bytes of each'],
    [3, 'Linux 6.18.44, Debian GNU/Linux 12 (bookworm)'],
    [4, 'whydrop 0.1.0'],
  ]);
});

test('no packets: a file that says so', () => {
  expect(read([])).toMatchObject({ interfaces: 0, packets: [] });
  expect(read([dropped([])])).toMatchObject({ interfaces: 0, packets: [] });
  const { drop, claims } = dropped([]);
  const { details: _, ...unseen } = drop;
  expect(read([{ drop: unseen, claims }]).packets).toEqual([]);
});

test('packets of all kinds stand in the order of their time', () => {
  const at = (timeUs: number): DropSample => sample(UDP, { timeUs });
  const { packets } = read([dropped([at(2), at(9)]), dropped([at(1), at(5)])]);
  expect(packets.map(({ timeUs }) => timeUs)).toEqual([1n, 2n, 5n, 9n]);
});

test('an interface for each name, namespace and way of beginning', () => {
  const one = sample(UDP);
  const drops = [
    dropped([one, one, { ...one, link: 'network' }]),
    dropped([one], { drop: { reason: 'OTHER' } }),
    dropped([one], { details: { interface: 'lo' } }),
    dropped([one], { details: { netns: null } }),
  ];
  expect(read(drops)).toMatchObject({
    interfaces: 4,
    packets: [{}, {}, {}, {}, {}, {}],
  });
});

test.each([
  [
    'number 7',
    'network namespace b',
    'namespace b, interface number 7',
    { interface: null, ifindex: 7 },
  ],
  ['unknown', 'network namespace b', 'namespace b', { interface: null, ifindex: null }],
  ['vb', 'network namespace unknown', 'interface vb', { netns: null }],
])('where it was, as far as known: %s, %s', (name, description, line, details) => {
  expect(readOne(sample(UDP), { details })).toMatchObject({
    interface: name,
    description,
    comment: `unexplained\nNETFILTER_DROP @ nft_do_chain\n${line}`,
  });
});

test('a namespace without a name has its number', () => {
  const { bytes } = renderPcapng({ ...sampleReport, scope: { netns: [], interfaces: [] } }, [
    dropped([sample(UDP)]),
  ]);
  expect(readPcapng(bytes).packets[0]?.description).toBe('network namespace 4026532000');
});

test('--iface: only its packets, and those of nobody knows which', () => {
  const on = (name: string | null) => dropped([sample(UDP)], { details: { interface: name } });
  const drops = [on('vb'), on('lo'), on(null)];
  const { packets } = read(drops, ['lo']);
  expect(packets.map((packet) => packet.interface)).toEqual(['lo', 'number 2']);
  const scope = { netns: [], interfaces: ['lo'] };
  expect(renderPcapng({ ...sampleReport, scope }, drops)).toMatchObject({ dropped: 20 });
});

test('the VLAN tag is put back where it was', () => {
  const packet = readOne(sample(`${ADDRESSES}0800${UDP}`, { length: 1500, vlan: 0xabc }));
  expect(packet?.bytes.toString('hex')).toBe(`${ADDRESSES}81000abc0800${UDP}`);
  expect(packet?.length).toBe(1504);
  expect(packet?.comment).toMatch(/interface vb, VLAN 2748$/);
});

test('a tag that has no place is told', () => {
  const short = readOne(sample('aabb', { vlan: 5 }));
  expect(short?.bytes.toString('hex')).toBe('aabb');
  const network = readOne(sample(UDP, { vlan: 5, link: 'network' }));
  expect(network?.bytes.toString('hex')).toBe(UDP);
  for (const packet of [short, network]) expect(packet?.comment).toContain('VLAN 5');
});

test.each([
  ['IPv4', 0x0800, 101, ''],
  ['IPv6', 0x86dd, 101, ''],
  ['ARP', 0x0806, 113, '0000fffe000000000000000000000806'],
  ['LLC', 0x0004, 113, '0000fffe000000000000000000000004'],
])('without a link header: %s', (_, protocol, linkType, header) => {
  const packet = readOne(sample('00010203', { link: 'network', length: 60 }), {
    drop: { protocol },
  });
  expect(packet).toMatchObject({ linkType, length: 60 + header.length / 2 });
  expect(packet?.bytes.toString('hex')).toBe(`${header}00010203`);
});

test.each([
  ['of a Unix socket', 0],
  ['of what could not be told apart', 0xffff],
])('a buffer %s is no packet', (_, protocol) => {
  const secret = sample('736563726574', { link: 'network' });
  expect(readOne(secret, { drop: { protocol } })).toBeUndefined();
});

test('of a kind that several account for, the comment says how many', () => {
  const packet = readOne(sample(UDP), {
    drop: { packets: 1010, reason: null },
    claims: [
      { packets: 1000 },
      { kind: 'benign', id: 'l2-otherhost', title: 'For others', packets: 7 },
    ],
  });
  expect(packet?.comment.split('\n')).toEqual([
    'cause nf-rule-drop: A rule drops packets (1,000 of 1,010 such)',
    'harmless l2-otherhost: For others (7 of 1,010 such)',
    'unexplained (3 of 1,010 such)',
    'nft_do_chain',
    'namespace b, interface vb',
  ]);
});

test('names from the machine do not break lines', () => {
  const packet = readOne(sample(UDP), { details: { interface: 'v\nb\u001b[2J' } });
  expect(packet?.interface).toBe('v b');
  expect(packet?.comment).toMatch(/\nnamespace b, interface v b$/);
});

test('no more of a packet than the capture keeps, whatever a recording holds', () => {
  const packet = readOne(sample('00'.repeat(4000)));
  expect([packet?.bytes.length, packet?.length]).toEqual([128, 4000]);
});

test('whatever a recording holds, the file can be read', () => {
  const text = fc.string({ unit: 'binary', maxLength: 3000 });
  const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  const anySample: fc.Arbitrary<DropSample> = fc.record(
    {
      timeUs: fc.double({ noNaN: true, noDefaultInfinity: true }),
      link: fc.constantFrom('ethernet', 'network'),
      length: count,
      vlan: count,
      bytes: fc.oneof(text, fc.base64String({ maxLength: 400 })),
    },
    { requiredKeys: ['timeUs', 'link', 'length', 'bytes'] },
  );
  const anyDrop = fc
    .record({
      samples: fc.array(anySample, { maxLength: 4 }),
      drop: fc.record({
        reason: fc.option(text),
        location: text,
        module: text,
        protocol: count,
        packets: count,
      }),
      details: fc.record({
        netns: fc.option(count),
        ifindex: fc.option(count),
        interface: fc.option(text),
      }),
      claims: fc.array(fc.record({ packets: count }), { maxLength: 2 }),
    })
    .map(({ samples, ...setup }) => dropped(samples, setup));
  fc.assert(
    fc.property(fc.array(anyDrop, { maxLength: 4 }), (drops) => {
      for (const { bytes, length, comment } of read(drops).packets) {
        expect(bytes.length).toBeLessThanOrEqual(144);
        expect(length).toBeGreaterThanOrEqual(bytes.length);
        expect(comment).not.toBe('');
      }
    }),
  );
});
