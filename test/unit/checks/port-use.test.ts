import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import portUse, { busiestPeer } from '../../../checks/port-use.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const ss = `LISTEN    0 128       0.0.0.0:40001      0.0.0.0:*
ESTAB     0 0   10.0.0.1:40001  10.0.0.2:80
TIME-WAIT 0 0   10.0.0.1:40002  10.0.0.2:80
TIME-WAIT 0 0   10.0.0.1:40003  10.0.0.3:80
ESTAB     0 0   10.0.0.1:80     10.0.0.2:40005
ESTAB     0 0   [fd00::1]:40002 [fd00::2]:443
`;

test('a port is used once for each pair of ends', () => {
  expect(busiestPeer(ss, 40_000, 40_009)).toEqual({ from: '10.0.0.1', to: '10.0.0.2:80', used: 2 });
  expect(busiestPeer(ss, 50_000, 50_009)).toBeUndefined();
});

test('never throws', () => {
  fc.assert(
    fc.property(garbledText(ss), (text) => {
      expect(busiestPeer(text, 40_000, 40_009)?.used ?? 0).toBeLessThanOrEqual(10);
    }),
  );
});

const machine = (timeWait: number, range = '40000\t40009\n'): FakeMachine => ({
  files: {
    '/proc/sys/net/ipv4/ip_local_port_range': range,
    '/proc/net/sockstat': `TCP: inuse 1 orphan 0 tw ${timeWait} alloc 7 mem 3\n`,
  },
  commands: { 'ss -Htan': ss },
});
const read = (phase: 'first' | 'last', of: FakeMachine) =>
  portUse.read(fakeHost(of), { phase, interfaces: [] });

test('lists connections only where there are nearly as many as ports', async () => {
  const idle = { status: 'ok', value: { ports: 10 } };
  expect(await read('last', machine(5))).toEqual(idle);
  expect(await read('first', machine(6))).toEqual(idle);
  expect(await read('last', machine(6))).toMatchObject({ value: { busiest: { used: 2 } } });
  expect(await read('last', machine(300_000))).toMatchObject({
    notes: [expect.stringContaining('too many')],
  });
});

test('could not look', async () => {
  expect(await read('last', {})).toMatchObject({ status: 'absent' });
  expect(await read('last', machine(6, 'x'))).toMatchObject({ status: 'malformed' });
  const { files = {} } = machine(6);
  expect(await read('last', { files })).toMatchObject({ notes: ['ss is not installed.'] });
});
