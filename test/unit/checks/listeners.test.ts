import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import listeners, { parseListeners } from '../../../checks/listeners.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

/** iproute2 6.1; the program calls itself as if it were two. */
const ss = `LISTEN 3      2            0.0.0.0:5001       0.0.0.0:* users:(("evil",pid=9,f",pid=77,fd=3)) ino:1603 sk:2715 cgroup:/ <->
LISTEN 0      511                *:80               *:* users:(("nginx",pid=8,fd=6),("nginx",pid=7,fd=6)) ino:1700 sk:1 cgroup:/system.slice/nginx.service v6only:0 <->
LISTEN 0      4096   127.0.0.53%lo:53         0.0.0.0:* uid:101 ino:1800 sk:3 cgroup:/ <->
LISTEN 0      128            [::1]:631           [::]:* ino:1900 sk:4 cgroup:/ v6only:1 <->
`;

test('reads queues, backlogs, addresses and owners', () => {
  const { sockets, lost } = parseListeners(ss);
  expect(lost).toBe(0);
  expect(sockets).toMatchObject([
    { local: '0.0.0.0:5001', port: 5001, queued: 3, backlog: 2, inode: 1603 },
    { local: '*:80', backlog: 511, process: { pid: 8, name: 'nginx' } },
    { local: '127.0.0.53:53', inode: 1800 },
    { local: '[::1]:631', port: 631 },
  ]);
  expect(sockets[2]).not.toHaveProperty('process');
});

test('counts lines that make no sense, and never throws', () => {
  expect(parseListeners(`${ss}nonsense\n`)).toMatchObject({ lost: 1 });
  fc.assert(
    fc.property(garbledText(ss), (text) => {
      for (const { port, queued } of parseListeners(text).sockets) {
        expect([Number.isInteger(port), Number.isInteger(queued)]).toEqual([true, true]);
      }
    }),
  );
});

const netstat = (overflows: number) =>
  `TcpExt: ListenOverflows ListenDrops\nTcpExt: ${overflows} ${overflows}\n`;
const machine = (overflows: number, commands: FakeMachine['commands'] = {}): FakeMachine => ({
  files: { '/proc/net/netstat': netstat(overflows), '/proc/net/snmp': 'Tcp: OutRsts\nTcp: 5\n' },
  commands,
});

async function read(phase: 'first' | 'sample' | 'last', now: FakeMachine, before?: FakeMachine) {
  const first =
    before && (await listeners.read(fakeHost(before), { phase: 'first', interfaces: [] }));
  return listeners.read(fakeHost(now), {
    phase,
    interfaces: [],
    ...(first?.status === 'ok' && { first: first.value }),
  });
}

test('looks at sockets only once something was refused, and at their owners only in the end', async () => {
  const commands = { 'ss -Hlnte': 'LISTEN 1 1 *:1 *:* ino:1 <->', 'ss -Hlntpe': ss };
  expect(await read('first', machine(3, commands))).toMatchObject({ status: 'ok' });
  const quiet = await read('last', machine(3, commands), machine(3));
  expect(quiet.status === 'ok' && quiet.value.sockets).toBeUndefined();
  const sample = await read('sample', machine(4, commands), machine(3));
  expect(sample.status === 'ok' && sample.value.sockets).toHaveLength(1);
  const last = await read('last', machine(4, commands), machine(3));
  expect(last.status === 'ok' && last.value.sockets).toHaveLength(4);
});

test('without ss, or with one that fails, the counters remain, with a note', async () => {
  const without = await read('last', machine(4), machine(3));
  expect(without).toMatchObject({ status: 'ok', notes: ['ss is not installed.'] });
  const failing = { 'ss -Hlntpe': { exitCode: 1 } };
  expect(await read('last', machine(4, failing), machine(3))).toMatchObject({
    notes: ['ss failed with code 1.'],
  });
});

test('without counters there is nothing to say', async () => {
  const files = { '/proc/net/netstat': unread('denied', 'no') };
  expect(await read('first', { files })).toMatchObject({ status: 'absent' });
});
