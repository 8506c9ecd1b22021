import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import sockets, {
  parseSocketTable,
  type DatagramSocket,
  type SocketsValue,
} from '../../../checks/sockets.ts';
import { parseSs } from '../../../checks/sockets/details.ts';
import { parseSockDiag } from '../../../checks/sockets/sock-diag.ts';
import type { Reading } from '../../../src/model/reading.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';

const HEADER =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n';

/** 6.18: a full buffer of 8,192 bytes, and a socket nobody lost anything on. */
const UDP =
  HEADER +
  '11609: 0100007F:1389 00000000:0000 07 00000000:00001E00 00:00000000 00000000     0        0 20760 2 000000004103f525 294       \n' +
  '11610: 0101A8C0:138A 0201A8C0:0035 01 00000000:00000000 00:00000000 00000000   101        0 21634 2 00000000db525d25 0         \n';

const UDP6 =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n' +
  '11611: 00000000000000000000000000000000:138B 00000000000000000000000000000000:0000 07 00000000:0005DC00 00:00000000 00000000     0        0 20759 2 0000000014994a1e 7\n' +
  '11612: 0000000000000000FFFF00000100007F:138C B80D0120000000000000000001000000:0035 01 00000000:00000000 00:00000000 00000000     0        0 21633 2 000000004f85c151 0\n';

/** CentOS 7 (3.10): pointers in full, no padding of the last column. */
const UDP_3_10 =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n' +
  '  181: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16789 2 ffff8800362b0000 12             \n';

const RAW =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n' +
  '   1: 00000000:0001 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 64262 2 0000000015e2276b 3\n';

/** iproute2 6.1 without -O: details on their own line. */
const SS =
  'udp UNCONN 7680   0      127.0.0.1:5001 0.0.0.0:* users:(("python3",pid=11180,fd=3)) ino:20760 sk:1 cgroup:unreachable:1 <->\n' +
  '\t skmem:(r7680,rb8192,t0,tb212992,f512,w0,o0,bl0,d294)             \n' +
  'udp UNCONN 0      0      *:5003 *:* users:(("isc-worker",pid=7,fd=9),("named",pid=8,fd=9)) uid:101 ino:20759 sk:3 cgroup:/system.slice/named.service v6only:0 <->\n' +
  '\t skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d7)\n';

const FILES = {
  '/proc/net/udp': UDP,
  '/proc/net/udp6': UDP6,
  '/proc/net/raw': RAW,
};

function valueOf(reading: Reading<SocketsValue>): SocketsValue {
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return reading.value;
}

async function readFirst(options: FakeHostOptions): Promise<Reading<SocketsValue>> {
  return sockets.read(fakeHost(options), { phase: 'first', interfaces: [] });
}

/** The same machine a moment ago, when those sockets had lost one datagram less. */
async function readLast(
  options: FakeHostOptions,
  losing: readonly string[],
): Promise<Reading<SocketsValue>> {
  const before = valueOf(await readFirst(options));
  const udp = new Map(
    [...before.udp].map(([key, socket]) => [
      key,
      losing.includes(key) ? { ...socket, drops: socket.drops - 1n } : socket,
    ]),
  );
  const first = { ...before, udp };
  return sockets.read(fakeHost(options), { phase: 'last', first, interfaces: [] });
}

test('reads IPv4, IPv6 and raw sockets with addresses, queue, drops and inode', async () => {
  const { udp, raw } = valueOf(await readFirst({ files: FILES }));
  expect(udp.get('20760')).toEqual({
    key: '20760',
    protocol: 'udp',
    local: '127.0.0.1:5001',
    peer: null,
    inode: 20760,
    uid: 0,
    drops: 294n,
    queueBytes: 7680,
  });
  expect(udp.get('21634')).toMatchObject({ local: '192.168.1.1:5002', peer: '192.168.1.2:53' });
  expect(udp.get('20759')).toMatchObject({ protocol: 'udp6', local: '[::]:5003', drops: 7n });
  expect(udp.get('21633')).toMatchObject({
    local: '[::ffff:127.0.0.1]:5004',
    peer: '[2001:db8::1]:53',
  });
  expect(raw.get('64262')).toMatchObject({ local: '0.0.0.0:1', queueBytes: 768, drops: 3n });
  expect(udp.size).toBe(4);
});

test('reads the table of a 3.10 kernel', () => {
  expect(parseSocketTable('udp', UDP_3_10)).toMatchObject({
    status: 'ok',
    value: [{ local: '0.0.0.0:68', inode: 16789, drops: 12n }],
  });
});

test('sockets of the kernel have no inode: known by address, twins counted together', async () => {
  const line =
    '  100: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000001 5\n';
  const { udp } = valueOf(await readFirst({ files: { '/proc/net/udp': HEADER + line + line } }));
  expect([...udp.values()]).toMatchObject([{ key: 'udp 0.0.0.0:4789 *', drops: 10n, inode: 0 }]);
});

test('without the table of IPv4 there is no answer; without the others there is', async () => {
  const denied = unread('denied', 'no');
  expect(await readFirst({ files: { '/proc/net/udp6': UDP6 } })).toMatchObject({
    status: 'absent',
  });
  expect(await readFirst({ files: { '/proc/net/udp': denied } })).toEqual(denied);
  expect(await readFirst({ files: { '/proc/net/udp': 'nonsense' } })).toMatchObject({
    status: 'malformed',
  });
  const alone = await readFirst({ files: { '/proc/net/udp': UDP } });
  expect(alone).toMatchObject({ status: 'ok' });
  expect(alone).not.toHaveProperty('notes');
});

test('a garbled line is noted, the rest counts', async () => {
  const reading = await readFirst({ files: { '/proc/net/udp': `${UDP}11: rubbish\n` } });
  expect(valueOf(reading).udp.size).toBe(2);
  expect(reading).toMatchObject({ notes: ['1 lines of /proc/net/udp make no sense.'] });
});

test('asks ss only in the last reading, only when a socket lost something, only for its port', async () => {
  const command = 'ss -H -uwanmpe ( sport = :5001 )';
  const machine = { files: FILES, commands: { [command]: SS } };

  expect(valueOf(await readFirst(machine)).udp.get('20760')).not.toHaveProperty('rcvbufBytes');
  const quiet = valueOf(await readLast(machine, []));
  expect(quiet.udp.get('20760')).not.toHaveProperty('rcvbufBytes');
  const lossy = valueOf(await readLast(machine, ['20760']));
  expect(lossy.udp.get('20760')).toMatchObject({
    rcvbufBytes: 8192,
    process: { pid: 11180, name: 'python3' },
  });
});

test('asks ss for all sockets when many ports lose', async () => {
  const lines = Array.from({ length: 65 }, (_, index) => {
    const port = (0x1000 + index).toString(16).toUpperCase();
    return `  1: 0100007F:${port} 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 ${1000 + index} 2 0 9\n`;
  });
  const ss = 'UNCONN 0 0 127.0.0.1:4096 0.0.0.0:* ino:1000 sk:1 skmem:(r0,rb4608,t0)\n';
  const machine = {
    files: { '/proc/net/udp': HEADER + lines.join('') },
    commands: { 'ss -H -uwanmpe': ss },
  };
  const { udp } = valueOf(
    await readLast(
      machine,
      lines.map((_, index) => String(1000 + index)),
    ),
  );
  expect(udp.get('1000')?.rcvbufBytes).toBe(4608);
});

test('without ss the losses still count, and a note says what is missing', async () => {
  const reading = await readLast({ files: FILES }, ['20760']);
  expect(valueOf(reading).udp.get('20760')?.drops).toBe(294n);
  expect(reading).toMatchObject({ notes: [expect.stringContaining('ss is not installed')] });

  const command = 'ss -H -uwanmpe ( sport = :5001 )';
  const failing = { files: FILES, commands: { [command]: { exitCode: 1, stderr: 'no netlink' } } };
  expect(await readLast(failing, ['20760'])).toMatchObject({
    status: 'ok',
    notes: [expect.stringContaining('no netlink')],
  });
});

test('does not watch the queues of thousands of sockets', async () => {
  const socket = valueOf(await readFirst({ files: FILES })).udp.get('20760') as DatagramSocket;
  const many = (count: number): SocketsValue => ({
    udp: new Map(Array.from({ length: count }, (_, index) => [String(index), socket])),
    raw: new Map(),
  });
  const host = fakeHost({ files: FILES });
  const sample = (count: number) =>
    sockets.read(host, { phase: 'sample', first: many(count), interfaces: [] });
  expect(await sample(2000)).toMatchObject({ status: 'ok' });
  expect(await sample(2001)).toMatchObject({ status: 'not-applicable' });
  expect(await sample(0)).toMatchObject({ status: 'not-applicable' });
});

test('ss: buffer and first owner by inode, with details on the same line or the next', () => {
  const expected = new Map([
    [20760, { rcvbufBytes: 8192, process: { pid: 11180, name: 'python3' } }],
    [
      20759,
      {
        rcvbufBytes: 212992,
        process: { pid: 7, name: 'isc-worker' },
        cgroup: '/system.slice/named.service',
      },
    ],
  ]);
  expect(parseSs(SS)).toEqual(expected);
  expect(parseSs(SS.replaceAll('\n\t', ''))).toEqual(expected);
});

test('ss without root or sock_diag: no owner, no buffer', () => {
  expect(parseSs('UNCONN 0 0 0.0.0.0:68 0.0.0.0:* ino:5 sk:1\n')).toEqual(new Map([[5, {}]]));
  expect(parseSs('UNCONN 0 0 0.0.0.0:68 0.0.0.0:*\n')).toEqual(new Map());
});

// A process may call itself anything of up to 15 bytes.
test.each([
  'x ino:1',
  'skmem:(rb1)',
  '",pid=1,fd=2)',
  '",pid=1,fd=2))',
  '",pid=1,fd=2),(',
  'a")) ino:1',
  '"',
])('ss: a process called %j imitates nothing', (name) => {
  const line = `UNCONN 0 0 1.2.3.4:5 0.0.0.0:* users:(("${name}",pid=777,fd=3)) ino:9 sk:1 skmem:(r0,rb4608,t0)\n`;
  expect(parseSs(line)).toEqual(new Map([[9, { rcvbufBytes: 4608, process: { pid: 777, name } }]]));
});

test('no text makes the parsers throw', () => {
  const words = fc.constantFrom(
    ' ',
    '\n',
    '\t',
    'ino:',
    'skmem:(rb',
    'users:(("',
    '",pid=',
    '0',
    ':',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(words).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (garbage) => {
      parseSs(garbage);
      parseSs(SS + garbage);
      const table = parseSocketTable('udp6', UDP6 + garbage);
      expect(table.status === 'ok' && table.value.length).toBeGreaterThanOrEqual(1);
      parseSocketTable('udp', garbage);
    }),
  );
});

test('any line the kernel can write is read back', () => {
  const hex = (bytes: number) =>
    fc.array(fc.integer({ min: 0, max: 255 }), { minLength: bytes, maxLength: bytes }).map((all) =>
      all
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join('')
        .toUpperCase(),
    );
  fc.assert(
    fc.property(
      hex(16),
      hex(2),
      fc.nat(0xffffffff),
      fc.nat(0xffffffff),
      (address, port, drops, queue) => {
        const rx = queue.toString(16).padStart(8, '0').toUpperCase();
        const line = `    1: ${address}:${port} ${'0'.repeat(32)}:0000 07 00000000:${rx} 00:00000000 00000000     0        0 77 2 0 ${drops}\n`;
        expect(parseSocketTable('udp6', HEADER + line)).toMatchObject({
          status: 'ok',
          value: [{ drops: BigInt(drops), queueBytes: queue, inode: 77, peer: null }],
        });
      },
    ),
  );
});

/** iproute2 6.1 on 6.18, `ss -H -uanme`: a device, dual stack, a mapped address, a peer, details on either line. */
const DIAG =
  'UNCONN 1280   0            127.0.0.1%lo:57   0.0.0.0:*  uid:101 ino:94 sk:d36e cgroup:/ <->\n' +
  '\t skmem:(r1792,rb212992,t0,tb212992,f0,w0,o0,bl0,d3)         \n' +
  'ESTAB  0      0               127.0.0.1:59 127.0.0.1:60 ino:96 sk:d36f cgroup:/ino:1 skmem:(r0,d9) <->\n' +
  '\t skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)         \n' +
  'UNCONN 0      0                       *:54         *:*  ino:91 sk:d370 cgroup:/ v6only:0 <-> skmem:(r0,rb1,t0,tb1,f0,w0,o0,bl0,d7)\n' +
  'UNCONN 0      0      [::ffff:127.0.0.1]:58         *:*  ino:95 sk:d373 cgroup:/ v6only:0 <->\n' +
  '\t skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)\n' +
  'ESTAB  0      0                [::1]%lo:61     [::1]:62 ino:0 sk:d374 cgroup:/ <->\n' +
  '\t skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)         \n';

const MANY = {
  '/proc/net/sockstat': 'sockets: used 3\nUDP: inuse 1999 mem 98\n',
  '/proc/net/sockstat6': 'UDP6: inuse 2\n',
};

test('asks sock_diag where there are thousands of sockets, and tells the same of them', async () => {
  const commands = { 'ss -H -uanme': DIAG };
  const { udp, raw } = valueOf(
    await readFirst({ files: { ...FILES, ...MANY, '/proc/net/raw': RAW }, commands }),
  );
  expect([...udp.keys()]).toEqual(['94', '96', '91', '95', 'udp6 [::1]:61 [::1]:62']);
  expect(udp.get('94')).toEqual({
    key: '94',
    protocol: 'udp',
    local: '127.0.0.1:57',
    peer: null,
    inode: 94,
    uid: 101,
    drops: 3n,
    queueBytes: 1280,
  });
  expect(udp.get('96')).toMatchObject({ peer: '127.0.0.1:60', uid: 0, drops: 0n });
  expect(udp.get('91')).toMatchObject({
    protocol: 'udp6',
    local: '[::]:54',
    peer: null,
    drops: 7n,
  });
  expect(udp.get('95')).toMatchObject({ protocol: 'udp6', local: '[::ffff:127.0.0.1]:58' });
  expect(raw.size).toBe(1);
});

test.each([
  ['fewer sockets', { '/proc/net/sockstat': 'UDP: inuse 2000 mem 98\n' }, DIAG],
  ['no ss', MANY, unread('absent', 'no ss')],
  ['an ss that fails', MANY, { exitCode: 1 }],
  ['an ss without sock_diag', MANY, 'UNCONN 0 0 0.0.0.0:68 0.0.0.0:* ino:5 sk:1\n'],
])('reads /proc with %s', async (_, count, ss) => {
  const reading = await readFirst({
    files: { ...FILES, ...count },
    commands: { 'ss -H -uanme': ss },
  });
  expect([...valueOf(reading).udp.keys()]).toEqual(['20760', '21634', '20759', '21633']);
});

test('sock_diag: a socket to which nothing happened is that of the earlier reading', () => {
  const read = (text: string, known?: ReadonlyMap<string, DatagramSocket>) => {
    const sockets = parseSockDiag(text, known);
    if (sockets.status !== 'ok') throw new Error(sockets.reason);
    return sockets.value;
  };
  const before = read(DIAG);
  const known = new Map(before.map((socket) => [socket.key, socket]));
  const now = read(DIAG.replace(',d7)', ',d8)').replace('UNCONN 1280', 'UNCONN 1281'), known);
  expect(now.map((socket, index) => socket === before[index])).toEqual([
    false,
    true,
    false,
    true,
    true,
  ]);
  expect([now[0]?.queueBytes, now[2]?.drops]).toEqual([1281, 8n]);
});

test('sock_diag: no text makes the parser throw or takes more than one socket from a line', () => {
  const words = fc.constantFrom(' ', '\n', '\t', 'ino:1', ' skmem:(', 'd1)', 'UNCONN 0 0 a:1 b:*');
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(words).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (garbage) => {
      const sockets = parseSockDiag(DIAG + garbage);
      expect(sockets.status === 'ok' ? sockets.value.length : 5).toBeGreaterThanOrEqual(5);
      parseSockDiag(garbage);
    }),
  );
});
