import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import sockstat, { parseSockstat } from '../../../checks/sockstat.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const linux618 = `sockets: used 57
TCP: inuse 5 orphan 2 tw 12 alloc 7 mem 3
UDP: inuse 2 mem 68
UDPLITE: inuse 0
RAW: inuse 0
FRAG: inuse 0 memory 0
`;
/** Before 2.6.25 UDP had no limit of memory. */
const linux2618 = `sockets: used 147
TCP: inuse 22 orphan 0 tw 0 alloc 24 mem 1
UDP: inuse 5
RAW: inuse 0
FRAG: inuse 0 memory 0
`;

test('reads levels of several kernels', () => {
  expect(parseSockstat(linux618)).toEqual({
    tcpPages: 3,
    udpPages: 68,
    tcpOrphans: 2,
    tcpTimeWait: 12,
    tcpInUse: 5,
  });
  expect(parseSockstat(linux2618)).toEqual({
    tcpPages: 1,
    tcpOrphans: 0,
    tcpTimeWait: 0,
    tcpInUse: 22,
  });
});

test('never throws, and gives only numbers', () => {
  fc.assert(
    fc.property(garbledText(linux618), (text) => {
      for (const value of Object.values(parseSockstat(text))) expect(value).toBeTypeOf('number');
    }),
  );
});

const files = (vmSizeKb: number) => ({
  '/proc/net/sockstat': linux618,
  '/proc/meminfo': 'MemTotal:       24683916 kB\nMemFree: 1 kB\n',
  '/proc/1/statm': '13849 5867 1604 1315 0 12023 0\n',
  '/proc/1/status': `Name:\tsystemd\nVmPeak:\t 1 kB\nVmSize:\t   ${vmSizeKb} kB\n`,
});
const read = (phase: 'first' | 'last', of: Record<string, string>) =>
  sockstat.read(fakeHost({ files: of }), { phase, interfaces: [] });

test('tells the size of a page by the two ways in which the kernel prints that of a process', async () => {
  expect(await read('last', files(55_396))).toMatchObject({
    value: { ram: { pages: 6_170_979, pageBytes: 4096 } },
  });
  expect(await read('last', files(13_849 * 64))).toMatchObject({
    value: { ram: { pageBytes: 65_536 } },
  });
});

test('it changed in between, or is hidden, or is not asked for: no size is made up', async () => {
  for (const reading of [
    await read('last', files(55_400)),
    await read('last', { '/proc/net/sockstat': linux618 }),
    await read('first', files(55_396)),
  ]) {
    expect(reading).toEqual({ status: 'ok', value: parseSockstat(linux618) });
  }
});

test('passes on why it cannot be read, and says when it makes no sense', async () => {
  const denied = unread('denied', 'no');
  const host = fakeHost({ files: { '/proc/net/sockstat': denied } });
  expect(await sockstat.read(host, { phase: 'first', interfaces: [] })).toEqual(denied);
  expect(await read('first', { '/proc/net/sockstat': 'x' })).toMatchObject({ status: 'malformed' });
});
