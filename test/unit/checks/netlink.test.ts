import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import netlink, { parseNetlink } from '../../../checks/netlink.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const linux618 = (
  drops = 0,
) => `sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000000db9dcc2 0   0          00000000 0        0        0     2        0        4       
00000000cc02d452 0   8140       00000011 2304     0        0     2        ${drops}        5021    
00000000cc02d453 15  4294963200 00000001 0        0        0     2        0        5022    
`;
/** 2.6.32: no inode yet. */
const linux2632 = `sk       Eth Pid    Groups   Rmem     Wmem     Dump     Locks     Drops
ffff8800 0   1302   00000011 0        0        00000000 2         0
`;

test('reads the sockets of programs, not those of the kernel itself', () => {
  const reading = parseNetlink(linux618(96));
  expect(reading.status === 'ok' && [...reading.value]).toEqual([
    [5021, { family: 0, portId: 8140, drops: 96n }],
    [5022, { family: 15, portId: 4_294_963_200, drops: 0n }],
  ]);
});

test('without the columns it needs, it says so', () => {
  expect(parseNetlink(linux2632).status).toBe('malformed');
  expect(parseNetlink('').status).toBe('malformed');
});

test('counts garbled lines, and never throws', () => {
  expect(parseNetlink(`${linux618()}nonsense\n`)).toMatchObject({
    notes: [expect.stringContaining('cannot be read: 1')],
  });
  fc.assert(
    fc.property(garbledText(linux618(3)), (text) => {
      const reading = parseNetlink(text);
      if (reading.status !== 'ok') return;
      for (const { drops } of reading.value.values()) expect(drops).toBeTypeOf('bigint');
    }),
  );
});

const machine = (drops: number): FakeMachine => ({
  files: { '/proc/net/netlink': linux618(drops), '/proc/8140/comm': 'bird\n' },
});

test('names the programs of those that lost something', async () => {
  const first = await netlink.read(fakeHost(machine(1)), { phase: 'first', interfaces: [] });
  if (first.status !== 'ok') throw new Error(first.reason);
  const context = { phase: 'last', interfaces: [], first: first.value } as const;
  const lost = await netlink.read(fakeHost(machine(5)), context);
  expect(lost.status === 'ok' && lost.value.sockets.get(5021)).toMatchObject({ program: 'bird' });
  const same = await netlink.read(fakeHost(machine(1)), context);
  expect(same.status === 'ok' && same.value.sockets.get(5021)).not.toHaveProperty('program');
});

test('passes on why it cannot be read', async () => {
  const denied = unread('denied', 'no');
  const host = fakeHost({ files: { '/proc/net/netlink': denied } });
  expect(await netlink.read(host, { phase: 'first', interfaces: [] })).toEqual(denied);
});
