import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import fragments, { parseFragmentMemory } from '../../../checks/fragments.ts';
import { fakeHost } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const sockstat = `sockets: used 36
TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 139
UDP: inuse 0 mem 63
RAW: inuse 0
FRAG: inuse 4 memory 4128
`;
const sockstat6 = 'TCP6: inuse 0\nUDP6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 1 memory 2048\n';

function read(files: Readonly<Record<string, string>>) {
  return fragments.read(fakeHost({ files }), { phase: 'first', interfaces: [] });
}

test('memory of both versions, with their limits', async () => {
  const reading = await read({
    '/proc/net/sockstat': sockstat,
    '/proc/net/sockstat6': sockstat6,
    '/proc/sys/net/ipv4/ipfrag_high_thresh': '4194304\n',
    '/proc/sys/net/ipv6/ip6frag_high_thresh': '1000\n',
  });
  expect(reading).toEqual({
    status: 'ok',
    value: {
      ipv4: { datagrams: 4, bytes: 4128, limitBytes: 4_194_304 },
      ipv6: { datagrams: 1, bytes: 2048, limitBytes: 1000 },
    },
  });
});

test('without IPv6 and without limits the rest is still known', async () => {
  expect(await read({ '/proc/net/sockstat': sockstat })).toEqual({
    status: 'ok',
    value: { ipv4: { datagrams: 4, bytes: 4128 } },
  });
});

test('what cannot be read is said', async () => {
  expect(await read({})).toMatchObject({ status: 'absent' });
  expect(await read({ '/proc/net/sockstat': 'TCP: inuse 1\n' })).toMatchObject({
    status: 'malformed',
  });
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(garbledText(sockstat), (text) => {
      const bytes = parseFragmentMemory(text, 'FRAG')?.bytes ?? 0;
      expect(Number.isSafeInteger(bytes)).toBe(true);
    }),
  );
});
