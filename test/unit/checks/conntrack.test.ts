import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import conntrack, { parseStatCommand, parseStatFile } from '../../../checks/conntrack.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const stat618 = `entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
00000032  00000001 00000002 00000000 0000000a 00000000 00000000 00000003 00000000 00000004 000000ff 00000005 00000006  00000000 00000000 00000000 00000007
00000032  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000  00000000 00000000 00000000 00000000
`;
/** CentOS 7. */
const stat310 = `entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
000000e1  000cd1b2 0012f5a3 0007a1d8 00000cd4 0004b1b3 0007e2b6 0007a0c1 00079fe3 00000000 0000000b 00000000 00000000  00000000 00000000 00000000 00000001
`;
const command = `cpu=0   \tfound=12 invalid=3 insert=0 insert_failed=1 drop=40 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 
cpu=1   \tfound=1 invalid=0 insert=0 insert_failed=1 drop=2 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 
`;
const sysctls = '/proc/sys/net/netfilter';
const countFile = `${sysctls}/nf_conntrack_count` as const;
const settings = {
  [countFile]: '50\n',
  [`${sysctls}/nf_conntrack_max`]: '262144\n',
  [`${sysctls}/nf_conntrack_buckets`]: '65536\n',
};
const statFile = '/proc/net/stat/nf_conntrack';

function readFrom(options: FakeHostOptions) {
  return conntrack.read(fakeHost(options), { phase: 'first', interfaces: [] });
}

test('sums the CPUs, under the names conntrack -S uses', async () => {
  const reading = await readFrom({ files: { ...settings, [statFile]: stat618 } });
  if (reading.status !== 'ok') throw new Error(reading.reason);
  const { counters, ...rest } = reading.value;
  expect(rest).toEqual({ count: 50, max: 262_144, buckets: 65_536 });
  expect(Object.fromEntries(counters)).toMatchObject({
    clash_resolve: 1n,
    found: 2n,
    invalid: 11n,
    chaintoolong: 3n,
    insert_failed: 4n,
    drop: 256n,
    early_drop: 5n,
    error: 6n,
    search_restart: 7n,
  });
  expect(counters.has('entries')).toBe(false);
  expect(new Map(conntrack.counters?.(reading.value)).get('drop')).toBe(256n);
});

test('does not take an old column for a counter that came later in its place', () => {
  const reading = parseStatFile(stat310);
  if (reading.status !== 'ok') throw new Error(reading.reason);
  expect(reading.value.get('drop')).toBe(11n);
  expect(reading.value.get('invalid')).toBe(0xcd4n);
  expect(reading.value.has('clash_resolve')).toBe(false);
  expect(reading.value.has('chaintoolong')).toBe(false);
});

test('asks the conntrack tool where the kernel has no file', async () => {
  const reading = await readFrom({ files: settings, commands: { 'conntrack -S': command } });
  if (reading.status !== 'ok') throw new Error(reading.reason);
  expect(reading.value.counters.get('drop')).toBe(42n);
  expect(reading.value.counters.get('insert_failed')).toBe(2n);
  expect(reading.value.counters.has('cpu')).toBe(false);
});

test('without file and tool the fill level is still known', async () => {
  const reading = await readFrom({ files: settings });
  expect(reading).toMatchObject({ status: 'ok', value: { count: 50, max: 262_144 } });
  if (reading.status !== 'ok') return;
  expect(reading.value.counters.size).toBe(0);
  expect(reading.notes).toEqual([expect.stringContaining('conntrack is not installed')]);
});

test('takes the limits from the initial namespace where a container hides them', async () => {
  const { [countFile]: count, ...limits } = settings;
  const reading = await readFrom({
    files: { [countFile]: count, [statFile]: stat618 },
    initial: { files: limits },
  });
  expect(reading).toMatchObject({ value: { count: 50, max: 262_144, buckets: 65_536 } });
});

test('not applicable when connection tracking is not loaded', async () => {
  expect(await readFrom({})).toEqual({
    status: 'not-applicable',
    reason: 'Connection tracking is not in use: nf_conntrack is not loaded.',
  });
});

test('says why it may not look', async () => {
  const denied = unread('denied', 'no');
  expect(await readFrom({ files: { [countFile]: denied } })).toEqual(denied);
  expect((await readFrom({ files: { ...settings, [countFile]: 'x' } })).status).toBe('malformed');
});

test('a torn line is left out and noted', () => {
  const reading = parseStatFile(`${stat618}00000032 00000001\n`);
  expect(reading).toMatchObject({
    status: 'ok',
    notes: [`${statFile}: lines that cannot be read: 1.`],
  });
  expect(parseStatFile('').status).toBe('malformed');
  expect(parseStatCommand('conntrack v1.4.7: no\n').status).toBe('malformed');
});

test('never throws on garbage', () => {
  fc.assert(
    fc.property(garbledText(stat618), garbledText(command), (file, output) => {
      for (const reading of [parseStatFile(file), parseStatCommand(output)]) {
        const values = reading.status === 'ok' ? [...reading.value.values()] : [];
        expect(values.every((value) => value >= 0n)).toBe(true);
      }
    }),
  );
});
