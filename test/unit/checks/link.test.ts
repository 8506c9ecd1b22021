import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import link, { otherhostRise, parseIpLinks, type Link } from '../../../checks/link.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeHostOptions } from './fake-host.ts';
import { garbledText } from './garbled-text.ts';

const command = 'ip -j -s -s -d link show';
/** iproute2 6.1 on Linux 6.1: e1000, dummy, a VLAN, a bond and its port. */
const linux61 = readFileSync(new URL('fixtures/ip-link-6.1.txt', import.meta.url), 'utf8');

/** One entry as `ip` prints it, with what a test is about. */
function entry(name: string, members: object, rx: object = {}, tx: object = {}): object {
  return {
    ifindex: 7,
    ifname: name,
    flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
    mtu: 1500,
    operstate: 'UP',
    promiscuity: 0,
    stats64: {
      rx: { bytes: 0, packets: 10, errors: 0, dropped: 0, missed_errors: 0, ...rx },
      tx: { bytes: 0, packets: 20, errors: 0, dropped: 0, ...tx },
    },
    ...members,
  };
}

async function interfacesOf(options: FakeHostOptions) {
  const reading = await link.read(fakeHost(options), { phase: 'first', interfaces: [] });
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return { interfaces: reading.value.interfaces, notes: reading.notes ?? [] };
}

async function onlyLink(object: object): Promise<Link> {
  const { interfaces } = await interfacesOf({ commands: { [command]: JSON.stringify([object]) } });
  const [first] = interfaces.values();
  if (first === undefined) throw new Error('no interface');
  return first;
}

test('reads what a real ip prints', async () => {
  const { interfaces, notes } = await interfacesOf({ commands: { [command]: linux61 } });
  expect(notes).toEqual([]);
  expect([...interfaces.keys()]).toEqual(['lo', 'eth0', 'd0', 'd0.100', 'bond7', 'd1']);
  expect(interfaces.get('lo')).toMatchObject({ loopback: true, up: true, operstate: 'unknown' });
  expect(interfaces.get('eth0')).toMatchObject({
    ifindex: 2,
    mtu: 1500,
    operstate: 'up',
    txPackets: 7n,
    txBytes: 586n,
    rxDropped: 0n,
    rxNoHandler: 0n,
    txQueueLength: 1000,
    carrierChanges: 2n,
    xdp: false,
  });
  expect(interfaces.get('eth0')).not.toHaveProperty('kind');
  expect(interfaces.get('d0.100')).toMatchObject({ kind: 'vlan', vlanId: 100, lower: 'd0' });
  expect(interfaces.get('bond7')).toMatchObject({ kind: 'bond', up: false });
  expect(interfaces.get('d1')).toMatchObject({
    kind: 'dummy',
    master: 'bond7',
    portKind: 'bond',
    portState: 'ACTIVE',
  });
});

test('settings of virtual devices and their ports', async () => {
  const { interfaces } = await interfacesOf({
    commands: {
      [command]: JSON.stringify([
        entry('br0', {
          linkinfo: { info_kind: 'bridge', info_data: { stp_state: 1, vlan_filtering: 0 } },
        }),
        entry('p0', {
          address: '62:5b:3d:d4:3e:0a',
          linkinfo: {
            info_kind: 'veth',
            info_slave_kind: 'bridge',
            info_slave_data: { state: 'learning', flood: false, isolated: true, locked: false },
          },
        }),
        entry('bond0', {
          linkinfo: {
            info_kind: 'bond',
            info_data: { mode: '802.3ad', ad_info: { aggregator: 3 } },
          },
        }),
        entry('eth1', {
          linkinfo: {
            info_slave_kind: 'bond',
            info_slave_data: { state: 'BACKUP', mii_status: 'DOWN', ad_aggregator_id: 4 },
          },
        }),
        entry('mv0', {
          linkinfo: { info_kind: 'macvlan', info_data: { bcqueuelen: 2, usedbcqueuelen: 1000 } },
        }),
        entry('vx0', { linkinfo: { info_kind: 'vxlan', info_data: { id: 42 } } }),
      ]),
    },
  });
  expect(interfaces.get('br0')).toMatchObject({ stp: true, vlanFiltering: false });
  expect(interfaces.get('br0')).not.toHaveProperty('portLimits');
  expect(interfaces.get('p0')).toMatchObject({
    address: '62:5b:3d:d4:3e:0a',
    portState: 'learning',
    portLimits: ['isolated', 'no flood'],
  });
  expect(interfaces.get('bond0')).toMatchObject({ bondMode: '802.3ad', aggregator: 3 });
  expect(interfaces.get('eth1')).toMatchObject({ miiStatus: 'DOWN', aggregator: 4 });
  expect(interfaces.get('mv0')).toMatchObject({ broadcastQueueLength: 1000 });
  expect(interfaces.get('vx0')).toMatchObject({ vxlanId: 42 });
});

test('each statistic has its own place', async () => {
  const rx = {
    packets: 1,
    bytes: 2,
    errors: 3,
    dropped: 4,
    missed_errors: 5,
    fifo_errors: 6,
    over_errors: 7,
    crc_errors: 8,
    frame_errors: 9,
    length_errors: 10,
    nohandler: 11,
    otherhost: 12,
  };
  const tx = {
    packets: 21,
    bytes: 22,
    errors: 23,
    dropped: 24,
    fifo_errors: 25,
    carrier_errors: 26,
    aborted_errors: 27,
  };
  expect(await onlyLink(entry('eth0', {}, rx, tx))).toMatchObject({
    rxPackets: 1n,
    rxBytes: 2n,
    rxErrors: 3n,
    rxDropped: 4n,
    rxMissed: 5n,
    rxFifo: 6n,
    rxOver: 7n,
    rxCrc: 8n,
    rxFrame: 9n,
    rxLength: 10n,
    rxNoHandler: 11n,
    rxOtherhost: 12n,
    txPackets: 21n,
    txBytes: 22n,
    txErrors: 23n,
    txDropped: 24n,
    txFifo: 25n,
    txCarrier: 26n,
    txAborted: 27n,
  });
});

test('sees XDP programs and captures', async () => {
  const object = entry('eth0', { xdp: { mode: 2, prog: { id: 106 } }, promiscuity: 2 });
  expect(await onlyLink(object)).toMatchObject({
    xdp: true,
    xdpPrograms: [{ id: 106, name: '', mode: 'generic' }],
    promiscuity: 2,
  });
});

test('counters carry the name of the interface, whatever it is', async () => {
  const text = JSON.stringify([entry('eth0.100', {}, { dropped: 5 }), entry('a\u001b"b', {})]);
  const { interfaces } = await interfacesOf({
    // As iproute2 prints it: it does not escape the control character.
    commands: { [command]: text.replace('\\u001b', '\u001b') },
  });
  const counters = new Map(link.counters?.({ interfaces }));
  expect(counters.get('eth0.100.rx_dropped')).toBe(5n);
  expect(counters.get('eth0.100.rx_missed_errors')).toBe(0n);
  expect(counters.get('a\u001b"b.tx_packets')).toBe(20n);
});

test('otherhost is left out by ip while it is 0', async () => {
  const none = await onlyLink(entry('eth0', {}));
  const some = await onlyLink(entry('eth0', {}, { otherhost: 12 }));
  expect(otherhostRise(none, some)).toBe(12);
  expect(otherhostRise(some, some)).toBe(0);
  expect(otherhostRise(none, none)).toBeUndefined();
  expect(otherhostRise(undefined, some)).toBeUndefined();
});

const sysfs = {
  '/sys/class/net/bonding_masters': 'bond0\n',
  '/sys/class/net/eth0/ifindex': '2\n',
  '/sys/class/net/eth0/mtu': '9000\n',
  '/sys/class/net/eth0/operstate': 'down\n',
  '/sys/class/net/eth0/flags': '0x1903\n',
  '/sys/class/net/eth0/master/ifindex': '3\n',
  '/sys/class/net/eth0/statistics/rx_packets': '18446744073709551615\n',
  '/sys/class/net/eth0/statistics/rx_missed_errors': '4\n',
  '/sys/class/net/eth0/statistics/rx_dropped': '5\n',
  '/sys/class/net/bond0/ifindex': '3\n',
  '/sys/class/net/bond0/flags': '0x1002\n',
  '/sys/class/net/bond0/statistics/rx_packets': '0\n',
  '/sys/class/net/vanished/ifindex': '9\n',
};

test('falls back to sysfs without iproute2, and says what is missing then', async () => {
  const { interfaces, notes } = await interfacesOf({ files: sysfs });
  expect([...interfaces.keys()].sort()).toEqual(['bond0', 'eth0']);
  expect(interfaces.get('eth0')).toMatchObject({
    ifindex: 2,
    mtu: 9000,
    operstate: 'down',
    up: true,
    loopback: false,
    promiscuity: 1,
    master: 'bond0',
    rxPackets: 18_446_744_073_709_551_615n,
    rxMissed: 4n,
    rxDropped: 5n,
    txDropped: 0n,
  });
  expect(interfaces.get('bond0')).toMatchObject({ up: false, promiscuity: 0 });
  expect(notes).toEqual([expect.stringContaining('ip is not installed')]);
});

test.each([
  ['too old for JSON', { exitCode: 255, stderr: 'Option "-j" is unknown, try "ip -help".\n' }],
  ['broken', { stdout: '[{"ifname":' }],
  ['without statistics', { stdout: '[{"ifindex":1,"ifname":"lo"}]' }],
  ['stuck', unread('timeout', 'ip: no answer')],
])('falls back to sysfs when ip is %s', async (_, output) => {
  const { interfaces } = await interfacesOf({ files: sysfs, commands: { [command]: output } });
  expect(interfaces.get('eth0')?.rxDropped).toBe(5n);
});

test('neither way: says both reasons', async () => {
  const reading = await link.read(fakeHost({}), { phase: 'first', interfaces: [] });
  expect(reading).toEqual({
    status: 'absent',
    reason: 'ip is not installed. /sys/class/net is not there.',
  });
});

test('an entry that cannot be read costs only itself', () => {
  const reading = parseIpLinks(JSON.stringify([entry('eth0', {}), {}, { ifname: 'eth1' }]));
  expect(reading).toMatchObject({
    status: 'ok',
    notes: ['ip -j link: entries that cannot be read: 1.'],
  });
});

test('never throws on garbage', () => {
  fc.assert(
    fc.property(garbledText(linux61), (text) => {
      const reading = parseIpLinks(text);
      expect(reading.status === 'ok' ? reading.value.interfaces.size : 1).toBeGreaterThan(0);
    }),
  );
});
