import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import xfrm, { parseXfrmStat } from '../../../checks/xfrm.ts';
import { fakeHost } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const stat = `XfrmInError             	0
XfrmInTmplMismatch      	200
XfrmOutPolBlock         	7
`;

function read(files: Readonly<Record<string, string>>) {
  return xfrm.read(fakeHost({ files }), { phase: 'first', interfaces: [] });
}

test('counters by the names of the kernel', async () => {
  const reading = await read({ '/proc/net/xfrm_stat': stat });
  if (reading.status !== 'ok') throw new Error(reading.reason);
  expect([...(xfrm.counters?.(reading.value) ?? [])]).toEqual([
    ['XfrmInError', 0n],
    ['XfrmInTmplMismatch', 200n],
    ['XfrmOutPolBlock', 7n],
  ]);
});

test('a kernel without IPsec has nothing to refuse; a garbled line is said', async () => {
  expect(await read({})).toMatchObject({ status: 'not-applicable' });
  expect(await read({ '/proc/net/xfrm_stat': '' })).toMatchObject({ status: 'malformed' });
  expect(parseXfrmStat(`${stat}XfrmInNoPols x\n`)).toMatchObject({
    status: 'ok',
    notes: ['/proc/net/xfrm_stat: lines that cannot be read: 1.'],
  });
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(garbledText(stat), (text) => {
      expect(['ok', 'malformed']).toContain(parseXfrmStat(text).status);
    }),
  );
});
