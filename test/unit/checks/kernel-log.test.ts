import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import kernelLog, { parseMessage, type Subject } from '../../../checks/kernel-log.ts';
import { ok, unread } from '../../../src/model/reading.ts';
import { fakeHost } from './fake-host.ts';

const context = { phase: 'last', interfaces: [] } as const;

// As kernels from 2.6.32 to 6.18 write them.
test.each<[Subject, string | undefined, string]>([
  ['conntrack-full', undefined, 'nf_conntrack: table full, dropping packet.'],
  ['conntrack-full', undefined, 'nf_conntrack: nf_conntrack: table full, dropping packet'],
  ['conntrack-full', undefined, 'nf_conntrack: table full in netns 4026532000, dropping packet'],
  ['neighbour-overflow', undefined, 'Neighbour table overflow.'],
  ['neighbour-overflow', undefined, 'neighbour: arp_cache: neighbor table overflow!'],
  ['neighbour-overflow', undefined, 'neighbour: ndisc_cache: neighbor table overflow!'],
  ['syn-flood', undefined, 'possible SYN flooding on port 80. Sending cookies.'],
  [
    'syn-flood',
    undefined,
    'TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:5000. Sending cookies.',
  ],
  ['tcp-memory', undefined, 'TCP: out of memory -- consider tuning tcp_mem'],
  ['orphaned-sockets', undefined, 'TCP: too many orphaned sockets'],
  ['orphaned-sockets', undefined, 'TCP: too many of orphaned sockets'],
  ['martian', 'eth0', 'IPv4: martian source 10.0.0.1 from 192.0.2.7, on dev eth0'],
  ['martian', 'eth0', 'IPv4: martian destination 0.0.0.0 from 192.0.2.7, dev eth0'],
  ['transmit-timeout', 'eth0', 'NETDEV WATCHDOG: eth0 (e1000e): transmit queue 0 timed out'],
  [
    'transmit-timeout',
    'ens3',
    'NETDEV WATCHDOG: CPU: 1: ens3 (virtio_net): transmit queue 2 timed out 5012 ms',
  ],
  [
    'transmit-timeout',
    'eth1',
    'mlx5_core 0000:03:00.0 eth1: NETDEV WATCHDOG: CPU: 3: transmit queue 3 timed out 15000 ms',
  ],
  ['hardware-checksum', 'eth0', 'eth0: hw csum failure'],
  [
    'own-address',
    'eth1',
    'br0: received packet on eth1 with own address as source address (addr:52:54:00:12:34:56, vlan:0)',
  ],
  ['dead-loop', 'gre1', 'Dead loop on virtual device gre1, fix it urgently!'],
  [
    'page-allocation',
    undefined,
    'swapper/0: page allocation failure: order:0, mode:0x480020(GFP_ATOMIC), nodemask=(null)',
  ],
  ['link-down', 'eth0', 'e1000e: eth0 NIC Link is Down'],
  ['link-down', 'eth0', 'igb 0000:01:00.0 eth0: igb: eth0 NIC Link is Down'],
  ['link-down', 'eth0', 'r8169 0000:03:00.0 eth0: Link is Down'],
  ['link-down', 'eth0', 'r8169 0000:03:00.0 eth0: link down'],
  [
    'duplicate-address',
    'eth0',
    'IPv6: eth0: IPv6 duplicate address fe80::1 used by 52:54:00:12:34:56 detected!',
  ],
  ['bond', undefined, 'bond0: (slave eth1): link status definitely down, disabling slave'],
  [
    'bond',
    undefined,
    'bonding: bond0: link status definitely down for interface eth1, disabling it',
  ],
  [
    'bond',
    undefined,
    'bond0: Warning: No 802.3ad response from the link partner for any adapters in the bond',
  ],
])('%s, %s: %s', (about, iface, text) => {
  expect(parseMessage(text)).toEqual([
    { about, text, ...(iface !== undefined && { interface: iface }) },
  ]);
});

test.each([
  'ata1: SATA link down (SStatus 0 SControl 300)',
  'usb 1-1: USB disconnect, device number 2',
  'device vb entered promiscuous mode',
  'systemd[1]: Started Session 1 of user root.',
])('not about packets: %s', (text) => {
  expect(parseMessage(text)).toEqual([]);
});

test('whatever a message holds', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 9000 }), (text) => {
      expect(parseMessage(text).length).toBeLessThanOrEqual(1);
    }),
  );
});

test('of the log only what is about packets is kept; no log is said to be so', async () => {
  const log = ok(['usb 1-1: new device', 'eth0: hw csum failure']);
  expect(await kernelLog.read(fakeHost({ kernelLog: log }), context)).toMatchObject({
    status: 'ok',
    value: { messages: [{ about: 'hardware-checksum' }] },
  });
  const denied = unread('denied', '/dev/kmsg: permission denied');
  expect(await kernelLog.read(fakeHost({ kernelLog: denied }), context)).toEqual(denied);
});
