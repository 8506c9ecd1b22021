import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import snmp, { parsePairs, parseSnmp6 } from '../../../checks/snmp.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

/** 6.18, some columns left out. */
const snmpText = `Ip: Forwarding DefaultTTL InReceives InHdrErrors InDiscards OutDiscards OutTransmits
Ip: 2 64 21120 7 0 1000 12198
IcmpMsg: InType3 OutType3
IcmpMsg: 1001 1000
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens CurrEstab RetransSegs
Tcp: 1 200 120000 -1 133 12 3
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 214 1000 9 1215 9 0 0 0 0
UdpLite: InDatagrams NoPorts
UdpLite: 0 1
`;
const netstatText = `TcpExt: SyncookiesSent ListenOverflows IPReversePathFilter TCPRcvQDrop
TcpExt: 0 5 12310 18446744073709551615
IpExt: InNoRoutes InOctets
IpExt: 4 832747809
`;
const snmp6Text = `Ip6InReceives                   \t1
Ip6InDiscards                   \t2
Icmp6OutType135                 \t3
Udp6RcvbufErrors                \t4
UdpLite6InErrors                \t5
`;
const machine = {
  files: {
    '/proc/net/snmp': snmpText,
    '/proc/net/netstat': netstatText,
    '/proc/net/snmp6': snmp6Text,
  },
} satisfies FakeMachine;

function readFrom(files: FakeMachine['files'] = {}) {
  return snmp.read(fakeHost({ files }), { phase: 'first', interfaces: [] });
}

async function countersOf(files: FakeMachine['files']) {
  const reading = await readFrom(files);
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return { counters: reading.value.counters, notes: reading.notes ?? [] };
}

test('keys the counters of the three files', async () => {
  const { counters, notes } = await countersOf(machine.files);
  expect(notes).toEqual([]);
  expect(Object.fromEntries(counters)).toMatchObject({
    'Ip.InReceives': 21_120n,
    'IcmpMsg.InType3': 1001n,
    'Udp.RcvbufErrors': 9n,
    'UdpLite.NoPorts': 1n,
    'TcpExt.IPReversePathFilter': 12_310n,
    'TcpExt.TCPRcvQDrop': 18_446_744_073_709_551_615n,
    'IpExt.InNoRoutes': 4n,
    'Ip6.InDiscards': 2n,
    'Icmp6.OutType135': 3n,
    'Udp6.RcvbufErrors': 4n,
    'UdpLite6.InErrors': 5n,
  });
});

test('settings and levels are no counters', async () => {
  const { counters } = await countersOf(machine.files);
  expect([...counters.keys()].filter((name) => /^(Ip|Tcp)\./.test(name))).toEqual([
    'Ip.InReceives',
    'Ip.InHdrErrors',
    'Ip.InDiscards',
    'Ip.OutDiscards',
    'Ip.OutTransmits',
    'Tcp.ActiveOpens',
    'Tcp.RetransSegs',
  ]);
});

test('a host without IPv6 is fine', async () => {
  const { '/proc/net/snmp6': _, ...files } = machine.files;
  const { counters, notes } = await countersOf(files);
  expect(counters.get('Udp.RcvbufErrors')).toBe(9n);
  expect(notes).toEqual(['No IPv6 counters: IPv6 is switched off here.']);
});

test('without netstat the rest is kept and the loss said', async () => {
  const { counters, notes } = await countersOf({
    ...machine.files,
    '/proc/net/netstat': unread('denied', 'permission denied'),
  });
  expect(counters.has('IpExt.InNoRoutes')).toBe(false);
  expect(counters.get('Ip.InHdrErrors')).toBe(7n);
  expect(notes).toEqual(['/proc/net/netstat: permission denied']);
});

test('without snmp there is no reading', async () => {
  expect((await readFrom({ '/proc/net/netstat': netstatText })).status).toBe('absent');
  expect((await readFrom({ ...machine.files, '/proc/net/snmp': 'nonsense\n' })).status).toBe(
    'malformed',
  );
});

test.each([
  ['a value too few', 'Udp: InDatagrams NoPorts\nUdp: 1\nIp: InReceives\nIp: 5\n'],
  ['a lost line of values', 'Udp: InDatagrams NoPorts\nIp: InReceives\nIp: 5\n'],
  ['a lost line of names', 'Udp: 1 2\nIp: InReceives\nIp: 5\n'],
  ['a torn end', 'Ip: InReceives\nIp: 5\nUdp: InDatagrams\n'],
])('%s costs only that protocol', (_, text) => {
  const counters = new Map<string, bigint>();
  const notes = parsePairs(text, '/proc/net/snmp', counters);
  expect(Object.fromEntries(counters)).toEqual({ 'Ip.InReceives': 5n });
  expect(notes).toEqual([expect.stringContaining('Udp')]);
});

test('a garbled line of snmp6 costs only itself', () => {
  const counters = new Map<string, bigint>();
  expect(parseSnmp6(`${snmp6Text}Ip6InReceives -\nnonsense`, counters)).toEqual([
    '/proc/net/snmp6: lines that cannot be read: 2.',
  ]);
  expect(counters.size).toBe(5);
});

test('never throws on garbage, and never invents a negative counter', () => {
  fc.assert(
    fc.property(garbledText(snmpText), garbledText(snmp6Text), (pairs, six) => {
      const counters = new Map<string, bigint>();
      const notes = [...parsePairs(pairs, 'file', counters), ...parseSnmp6(six, counters)];
      expect([...counters.values()].every((value) => value >= 0n)).toBe(true);
      expect(notes.every((note) => !/[\0-\x1f]/.test(note))).toBe(true);
    }),
  );
});
