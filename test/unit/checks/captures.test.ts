import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import captures, { parseCaptures } from '../../../checks/captures.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

/** iproute2 6.1. */
const ss = (
  drops: number,
  users = '',
) => `p_raw UNCONN 8320   0      *:* * ${users}ino:3965056 sk:40810
	ver:0 cpy_thresh:0 flags( running ) skmem:(r8320,rb8192,t0,tb212992,f0,w0,o0,bl0,d${drops})
p_dgr UNCONN 0      0      [34958]:eth0 * ino:12 sk:2
	skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)
`;
const users = 'users:(("tcpdump",pid=77,fd=3)) ';

test('reads the drops of each socket, and its owner', () => {
  expect([...parseCaptures(ss(70, users))]).toMatchObject([
    [3_965_056, { drops: 70n, rcvbufBytes: 8192, process: { pid: 77, name: 'tcpdump' } }],
    [12, { drops: 0n }],
  ]);
});

test('leaves out what does not tell its memory, and never throws', () => {
  expect(parseCaptures('p_raw UNCONN 0 0 *:* * ino:1 sk:2\n').size).toBe(0);
  fc.assert(
    fc.property(garbledText(ss(5, users)), (text) => {
      for (const { drops } of parseCaptures(text).values()) expect(drops).toBeTypeOf('bigint');
    }),
  );
});

const heading = 'sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n';
const machine = (drops: number): FakeMachine => ({
  files: { '/proc/net/packet': `${heading}0000000098436273 3 3 0003 0 1 8320 0 3965056\n` },
  commands: { 'ss -H0anme': ss(drops), 'ss -H0anmpe': ss(drops, users) },
});

test('asks ss only where there is such a socket, and for owners only when one lost something', async () => {
  const none = fakeHost({ files: { '/proc/net/packet': heading } });
  expect(await captures.read(none, { phase: 'first', interfaces: [] })).toEqual({
    status: 'ok',
    value: { sockets: new Map() },
  });
  const first = await captures.read(fakeHost(machine(1)), { phase: 'first', interfaces: [] });
  if (first.status !== 'ok') throw new Error(first.reason);
  const context = { phase: 'last', interfaces: [], first: first.value } as const;
  const ownerAfter = async (drops: number) => {
    const last = await captures.read(fakeHost(machine(drops)), context);
    return last.status === 'ok' ? last.value.sockets.get(3_965_056)?.process : undefined;
  };
  expect(await ownerAfter(1)).toBeUndefined();
  expect(await ownerAfter(2)).toEqual({ pid: 77, name: 'tcpdump' });
});

test('without ss it could not look', async () => {
  const { files = {} } = machine(1);
  expect(
    await captures.read(fakeHost({ files }), { phase: 'first', interfaces: [] }),
  ).toMatchObject({ status: 'absent' });
});
