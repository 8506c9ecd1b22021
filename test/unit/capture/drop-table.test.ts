import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressText, dropCounts, mergeDrops } from '../../../src/capture/drop-counts.ts';
import { DropTable } from '../../../src/capture/drop-table.ts';
import { parseKfreeSkbLayout } from '../../../src/capture/kfree-skb.ts';
import { fixture, valueOf } from './fixture.ts';

const layout = valueOf(parseKfreeSkbLayout(fixture('6.18', 'format')));

test('counts as a plain map would', () => {
  const few = fc.constantFrom(0, 1, 2, 0x8123_4567, 0xffff_ffff);
  fc.assert(
    fc.property(fc.array(fc.tuple(few, few, few, few, fc.constantFrom(0, 1))), (drops) => {
      const table = new DropTable(1000);
      const expected = new Map<string, [packets: number, edge: number]>();
      for (const [high, low, protocol, reason, edge] of drops) {
        table.add(high, low, protocol, reason, edge === 1 ? 1 : 0);
        const key = [high, low, protocol, reason].join();
        const [packets, edges] = expected.get(key) ?? [0, 0];
        expected.set(key, [packets + 1, edges + edge]);
      }
      const counted = [...table.entries()].map(
        (e) =>
          [
            [e.locationHigh, e.locationLow, e.protocol, e.reason].join(),
            [e.packets, e.edgePackets],
          ] as const,
      );
      expect(new Map(counted)).toEqual(expected);
    }),
  );
});

test('a flood of EtherTypes ends in the overflow, and every packet is counted', () => {
  const table = new DropTable(100);
  for (let protocol = 0; protocol < 65_536; protocol += 1) table.add(1, 2, protocol, 3, 1);
  table.add(1, 2, 5, 3, 0);
  const drops = dropCounts(table, layout, new Map());
  expect(drops).toHaveLength(101);
  expect(drops[0]).toEqual({
    reason: 'other',
    location: 'other',
    protocol: 0,
    packets: 65_436,
    edgePackets: 65_436,
  });
  expect(drops[1]).toMatchObject({ protocol: 5, packets: 2, edgePackets: 1 });
});

test('names what was counted, and joins the addresses of one function', () => {
  const table = new DropTable();
  table.add(0xffff_ffff, 0x81a0_0010, 0x0800, 16, 0);
  table.add(0xffff_ffff, 0x81a0_0090, 0x0800, 16, 1);
  table.add(0xffff_ffff, 0x81a0_0090, 0x86dd, 16, 0);
  table.add(0xffff_ffff, 0x0000_0042, 0x0800, 3, 0);
  const addresses = [...table.entries()].map((entry) => addressText(entry, layout));
  expect(addresses).toContain('ffffffff00000042');
  const locations = new Map(
    addresses
      .filter((address) => address.startsWith('ffffffff81'))
      .map((address) => [address, { location: 'ip_rcv_finish_core' }]),
  );
  const drops = dropCounts(table, layout, locations);
  expect(drops[0]).toEqual({
    reason: 'IP_RPFILTER',
    location: 'ip_rcv_finish_core',
    protocol: 0x0800,
    packets: 2,
    edgePackets: 1,
  });
  expect(drops).toHaveLength(3);
  expect(drops).toContainEqual(
    expect.objectContaining({ reason: 'NO_SOCKET', location: '0xffffffff00000042', packets: 1 }),
  );
});

test('a kernel without reasons says null', () => {
  const table = new DropTable(1);
  table.add(0, 1, 0x0800, 0, 0);
  table.add(0, 2, 0x0800, 0, 0);
  const old = valueOf(parseKfreeSkbLayout(fixture('5.10', 'format')));
  expect(dropCounts(table, old, new Map()).map(({ reason }) => reason)).toEqual([null, null]);
});

test('functions of one name in two modules stay apart', () => {
  const drop = { reason: null, location: 'rx', protocol: 0, packets: 1, edgePackets: 0 };
  expect(mergeDrops([drop, { ...drop, module: 'e1000' }, drop])).toEqual([
    { ...drop, packets: 2 },
    { ...drop, module: 'e1000' },
  ]);
});
