import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import neighbours, { type Neighbours } from '../../../checks/neighbours.ts';
import { parseStatTable } from '../../../checks/stat-table.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const table = (
  failed: string,
) => `entries  allocs   destroys res_failed unresolved_discards table_fulls
00000010  000003f9 000003be ${failed} 00000001            00000000
00000010  00000435 0000046b 00000001 00000000            000000ff
`;
/** Linux 3.10: the last column is not there. */
const old = `entries  allocs destroys res_failed forced_gc_runs unresolved_discards
00000003  00000001 00000000 00000002 00000000 00000000
`;
const stat = '/proc/net/stat/arp_cache';
const list = 'ip -j neigh show nud failed nud incomplete';
const silent = JSON.stringify([
  { dst: '10.0.0.9', dev: 'eth0', state: ['FAILED'] },
  { dst: '10.0.0.1', dev: 'eth0', state: ['INCOMPLETE'] },
  { dst: 7 },
]);
const answers = {
  [list]: silent,
  'ip -j route show default': '[{"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]}]',
};

async function read(options: FakeHostOptions, first?: Neighbours): Promise<Neighbours> {
  const phase = first === undefined ? 'first' : 'last';
  const context = { phase, interfaces: [], ...(first !== undefined && { first }) } as const;
  const reading = await neighbours.read(fakeHost(options), context);
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return reading.value;
}

test('the level is one for the machine, counters add up over the CPUs', async () => {
  const { entries, counters } = await read({ files: { [stat]: table('00000002') } });
  expect(entries.get('arp_cache')).toBe(16);
  expect(counters.get('arp_cache.res_failed')).toBe(3n);
  expect(counters.get('arp_cache.table_fulls')).toBe(255n);
});

test('asks who does not answer only when a look-up failed', async () => {
  const files = { [stat]: table('00000002') };
  const first = await read({ files });
  expect((await read({ files, commands: answers }, first)).silent).toBeUndefined();

  const later = { files: { [stat]: table('00000003') }, commands: answers };
  expect((await read(later, first)).silent).toEqual({
    count: 2,
    named: [
      { address: '10.0.0.1', device: 'eth0', gateway: true },
      { address: '10.0.0.9', device: 'eth0', gateway: false },
    ],
  });
});

test('where the counters of the machine cannot be seen, one may have failed', async () => {
  const inContainer = { commands: answers, initial: {} };
  expect((await read(inContainer, await read(inContainer))).silent?.count).toBe(2);
});

test('without iproute2 the counters are still there', async () => {
  const first = await read({ files: { [stat]: table('00000002') } });
  const last = await read({ files: { [stat]: table('00000009') } }, first);
  expect(last.silent).toBeUndefined();
  expect(last.counters.get('arp_cache.res_failed')).toBe(10n);
});

test('older kernels have fewer columns; no text makes the parser throw', () => {
  expect(parseStatTable(old)?.get('res_failed')).toBe(2n);
  expect(parseStatTable(old)?.has('table_fulls')).toBe(false);
  expect(parseStatTable('')).toBeUndefined();
  fc.assert(
    fc.property(garbledText(old), (text) => {
      const sums = parseStatTable(text);
      return sums === undefined || [...sums.values()].every((value) => value >= 0n);
    }),
  );
});
