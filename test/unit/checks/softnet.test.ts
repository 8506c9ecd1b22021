import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import softnet, { parseSoftnet } from '../../../checks/softnet.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const linux618 = `0000000b 00000002 00000003 00000000 00000000 00000000 00000000 00000000 00000000 00000004 00000005 00000006 00000000 00000000 00000000
00003414 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000003 00000000 00000000
`;
/** CentOS 7 (3.10 with flow limit), two CPUs. */
const linux310 = `6dcad223 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000007
6f0e1565 0000001f 00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
`;
/** CentOS 5 (2.6.18): nine columns, the last is the long gone cpu_collision. */
const linux2618 = `0000a3f1 00000001 00000002 00000000 00000000 00000000 00000000 00000000 0000000c
`;

function valueOf(text: string) {
  const reading = parseSoftnet(text);
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return reading;
}

test('reads all columns of a current kernel, and the CPU numbers it prints', () => {
  const { value, notes } = valueOf(linux618);
  expect(notes).toBeUndefined();
  expect(value.cpus).toEqual([
    {
      cpu: 0,
      processed: 11n,
      dropped: 2n,
      timeSqueeze: 3n,
      receivedRps: 4n,
      flowLimit: 5n,
      backlogLength: 6,
    },
    expect.objectContaining({ cpu: 3, processed: 0x3414n, dropped: 0n }),
  ]);
});

test('counts rows where the kernel does not number CPUs, and says so', () => {
  const { value, notes } = valueOf(linux310);
  expect(value.cpus.map(({ cpu, dropped, flowLimit }) => [cpu, dropped, flowLimit])).toEqual([
    [0, 0n, 7n],
    [1, 31n, 0n],
  ]);
  expect(value.cpus[0]).not.toHaveProperty('backlogLength');
  expect(notes).toEqual([expect.stringContaining('does not number the CPUs')]);
});

test('does not take a column of another meaning for one that an old kernel lacks', () => {
  const { value } = valueOf(linux2618);
  expect(value.cpus).toEqual([{ cpu: 0, processed: 0xa3f1n, dropped: 1n, timeSqueeze: 2n }]);
});

test('keeps good lines beside a garbled one', () => {
  const { value, notes } = valueOf(`${linux618}nonsense\n`);
  expect(value.cpus).toHaveLength(2);
  expect(notes).toEqual(['/proc/net/softnet_stat: lines that cannot be read: 1 of 3.']);
});

test.each(['', '\n\n', 'nonsense\n', '0001 0002\n'])('nothing usable is malformed: %j', (text) => {
  expect(parseSoftnet(text).status).toBe('malformed');
});

test('never throws on garbage', () => {
  fc.assert(
    fc.property(garbledText(linux618), (text) => {
      const reading = parseSoftnet(text);
      expect(reading.status === 'ok' ? reading.value.cpus.length : 1).toBeGreaterThan(0);
    }),
  );
});

test('counters name each CPU and the totals', async () => {
  const host = fakeHost({ files: { '/proc/net/softnet_stat': linux310 } });
  const reading = await softnet.read(host, { phase: 'first', interfaces: [] });
  if (reading.status !== 'ok') throw new Error(reading.reason);
  const counters = new Map(softnet.counters?.(reading.value));
  expect(counters.get('cpu1.dropped')).toBe(31n);
  expect(counters.get('dropped')).toBe(31n);
  expect(counters.get('time_squeeze')).toBe(3n);
  expect(counters.get('processed')).toBe(0x6dcad223n + 0x6f0e1565n);
});

test('passes on why the file cannot be read', async () => {
  const denied = unread('denied', 'no');
  const host = fakeHost({ files: { '/proc/net/softnet_stat': denied } });
  expect(await softnet.read(host, { phase: 'first', interfaces: [] })).toEqual(denied);
});
