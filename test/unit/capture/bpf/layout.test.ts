import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CountLayout,
  FlowLayout,
  parseSample,
  parseSite,
  parseTable,
  SampleLayout,
  settingsBytes,
  SiteLayout,
  TableLayout,
} from '../../../../src/capture/bpf/layout.ts';
import { objectBtf } from './object.ts';
import { tableBytes } from './table.ts';

test.each(['drops.bpf.o', 'drops-compatible.bpf.o'] as const)(
  'offsets are those of %s',
  (object) => {
    const btf = objectBtf(object);
    const struct = (name: string): ReadonlyMap<string, number> => btf.struct(name) ?? new Map();
    const check = (layout: Readonly<Record<string, number>>, name: string): void => {
      for (const [member, offset] of Object.entries(layout)) {
        const wanted = member === 'bytes' ? '' : member === 'bytes_at' ? 'bytes' : member;
        const actual = struct(name).get(wanted) ?? struct(`${name}_key`).get(wanted);
        expect([name, member, offset]).toEqual([name, member, actual]);
      }
    };
    check(CountLayout, 'count');
    check(FlowLayout, 'flow');
    check(TableLayout, 'table');
    check(SiteLayout, 'site');
    check(SampleLayout, 'sample');
  },
);

test('a table: what is used of it', () => {
  const table = parseTable(
    tableBytes({
      counts: [
        {
          at: 3,
          location: 0xffff_ffff_8123_4567n,
          reason: 12,
          ifindex: 2,
          netns: 4_026_532_000,
          protocol: 0x0800,
          ipProtocol: 17,
          packets: 5_000_000_000n,
          edgePackets: 7n,
          name: 'eth0',
        },
      ],
      flows: [
        { at: 2047, count: 3, source: [10, 0, 0, 1], destination: [10, 0, 0, 2], packets: 9n },
      ],
      overflow: 11n,
    }),
  );
  expect(table.overflow).toEqual({ packets: 11, edgePackets: 0 });
  expect(table.counts).toMatchObject([
    {
      location: 'ffffffff81234567',
      reason: 12,
      ifindex: 2,
      netns: 4_026_532_000,
      protocol: 0x0800,
      ipProtocol: 17,
      folded: false,
      interfaceName: 'eth0',
      packets: 5_000_000_000,
      edgePackets: 7,
      flowsApproximate: true,
      flows: [{ packets: 9, vlan: 0, socket: 0 }],
    },
  ]);
});

test.each([
  ['all looked at and kept', 4095n, 4095n, 0n, false],
  ['from 4096 on some are skipped', 4096n, 4096n, 0n, true],
  ['the last ones were skipped', 10n, 9n, 0n, true],
  ['a flow gave way', 10n, 10n, 1n, true],
])('flows are exact or not: %s', (_, packets, lookedAt, flowless, approximate) => {
  const bytes = tableBytes({ counts: [{ at: 0, packets, lookedAt, flowless }] });
  expect(parseTable(bytes).counts[0]?.flowsApproximate).toBe(approximate);
});

test('a sample', () => {
  const bytes = Buffer.alloc(SampleLayout.bytes);
  expect(parseSample(bytes)).toBeNull();
  bytes.writeBigUInt64LE(1_000_000_123n, SampleLayout.time_ns);
  bytes.writeUInt32LE(1500, SampleLayout.length);
  bytes.writeUInt16LE(3, SampleLayout.captured);
  bytes.writeUInt16LE(100, SampleLayout.vlan);
  bytes.writeUInt8(1, SampleLayout.link);
  bytes.set([1, 2, 3, 4], SampleLayout.bytes_at);
  const sample = parseSample(bytes);
  // The buffer is used again for the next one.
  bytes.fill(0);
  expect(sample).toMatchObject({
    timeNs: 1_000_000_123,
    length: 1500,
    vlan: 100,
    link: 'ethernet',
  });
  expect([...(sample?.bytes ?? [])]).toEqual([1, 2, 3]);
});

test('a stack: as many frames as there are, none after an error', () => {
  const key = Buffer.alloc(16);
  key.writeBigUInt64LE(0xffff_ffff_8100_0001n);
  key.writeUInt32LE(3, 8);
  const site = Buffer.alloc(SiteLayout.bytes);
  site.writeBigUInt64LE(0xffff_ffff_8100_0002n, 0);
  site.writeInt32LE(8, SiteLayout.stack_bytes);
  expect(parseSite(key, site)).toEqual({
    location: 'ffffffff81000001',
    reason: 3,
    stack: ['ffffffff81000002'],
  });
  site.writeInt32LE(-14, SiteLayout.stack_bytes);
  expect(parseSite(key, site).stack).toEqual([]);
});

test('settings', () => {
  expect([...settingsBytes({ windowIsOpen: true, netns: 0, ifindex: 0 })]).toEqual([
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ]);
  expect(settingsBytes({ windowIsOpen: false, netns: 0xf0000001, ifindex: 0 })[4]).toBe(1);
});

test('garbage gives counts, never an exception', () => {
  const garbage = Buffer.alloc(TableLayout.bytes);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 64, maxLength: 4096 }), (noise) => {
      for (let at = 0; at < garbage.length; at += noise.length)
        garbage.set(noise.subarray(0, garbage.length - at), at);
      expect(parseTable(garbage).counts.every(({ packets }) => packets > 0)).toBe(true);
      parseSample(garbage.subarray(0, SampleLayout.bytes));
      parseSite(garbage.subarray(0, 16), garbage.subarray(0, SiteLayout.bytes));
    }),
    { numRuns: 20 },
  );
});
