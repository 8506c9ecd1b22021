import { assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import ethtool, {
  parseIdentity,
  parseRing,
  parseStatistics,
  sumByTemplate,
  type Nic,
} from '../../../checks/ethtool.ts';
import { soundsLikeRxLoss } from '../../../checks/nic-drivers.ts';
import { unread } from '../../../src/model/reading.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';
import { composedNic, nicFiles, recordedNic } from './nic-fixture.ts';

async function read(machine: FakeMachine, phase: 'first' | 'last' = 'last', asked: string[] = []) {
  return ethtool.read(fakeHost(machine), { phase, interfaces: asked });
}

async function readNic(machine: FakeMachine, name: string): Promise<Nic | undefined> {
  const reading = await read(machine);
  return reading.status === 'ok' ? reading.value.interfaces.get(name) : undefined;
}

test.each([
  ['e1000-6.1', 'eth1', 'e1000', { rx: 256, rxMax: 4096, tx: 256, txMax: 4096 }],
  ['e1000-6.12', 'eth1', 'e1000', { rx: 256, rxMax: 4096, tx: 256, txMax: 4096 }],
  ['e1000e-6.12', 'eth2', 'e1000e', { rx: 256, rxMax: 4096, tx: 256, txMax: 4096 }],
  ['vmxnet3-6.12', 'eth4', 'vmxnet3', { rx: 1024, rxMax: 4096, tx: 512, txMax: 4096 }],
  ['virtio_net-6.12', 'eth3', 'virtio_net', { rx: 256, rxMax: 256, tx: 256, txMax: 256 }],
  ['8139cp-6.12', 'eth5', '8139cp', { rx: 64, rxMax: 64, tx: 64, txMax: 64 }],
])('%s: driver and ring', async (recording, name, driver, ring) => {
  const nic = await readNic(recordedNic(recording, name, 'last'), name);
  expect(nic?.settings).toMatchObject({ driver, ring, rxQueues: 1 });
  expect(nic?.settings?.bus).toMatch(/^0000:00:/);
});

test('vmxnet3 repeats its block for each queue: the queues are added up, names are trimmed', () => {
  const statistics = parseStatistics(
    [
      'NIC statistics:',
      '     Rx Queue#: 0',
      '       pkts rx OOB: 3',
      '          err: 1',
      '     Rx Queue#: 1',
      '       pkts rx OOB: 4',
      '          err: 0',
      '     tx timeout count: 0',
    ].join('\n'),
  );
  expect(statistics.get('pkts rx OOB')).toBe(7n);
  expect(statistics.get('err')).toBe(1n);
  expect(statistics.has('NIC statistics')).toBe(false);
});

test('names with colons and padding, and values of 64 bits', () => {
  const statistics = parseStatistics(
    '     [1]: rx_discards: 5\n     tx_octets_ok             : 7\n     big: 18446744073709551615\n',
  );
  expect([...statistics]).toEqual([
    ['[1]: rx_discards', 5n],
    ['tx_octets_ok', 7n],
    ['big', 18446744073709551615n],
  ]);
});

test('queues are added up under a template', () => {
  const sums = sumByTemplate(
    new Map([
      ['rx_queue_0_drops', 1n],
      ['rx_queue_11_drops', 2n],
      ['rx_drops', 4n],
    ]),
  );
  expect([...sums]).toEqual([
    ['rx_queue_N_drops', 3n],
    ['rx_drops', 4n],
  ]);
});

test('ethtool 5.x prints 0 for rings a driver does not have, and no rows after TX', () => {
  const ring = parseRing(
    [
      'Ring parameters for eno1:',
      'Pre-set maximums:',
      'RX:\t\t2047',
      'RX Mini:\t0',
      'RX Jumbo:\t8191',
      'TX:\t\tn/a',
      'Current hardware settings:',
      'RX:\t\t511',
      'RX Mini:\t0',
      'RX Jumbo:\t2044',
      'TX:\t\t511',
    ].join('\n'),
  );
  expect(ring).toEqual({ rx: 511, rxMax: 2047, tx: 511 });
  expect(parseRing('netlink error: Operation not supported')).toBeUndefined();
});

test('empty fields of ethtool -i are absent', () => {
  expect(parseIdentity('driver: tun\nversion: 1.6\nfirmware-version: \nbus-info: \n')).toEqual({
    driver: 'tun',
    version: '1.6',
  });
});

test('settings are read at the end of the window only', async () => {
  const reading = await read(recordedNic('e1000-6.12', 'eth1', 'first'), 'first');
  const nic = reading.status === 'ok' ? reading.value.interfaces.get('eth1') : undefined;
  expect(nic?.statistics?.get('rx_no_buffer_count')).toBe(0n);
  expect(nic?.settings).toBeUndefined();
});

test.each([
  ['1000\n', 'full\n', { speedMbps: 1000, duplex: 'full' }],
  ['-1\n', 'unknown\n', {}],
  ['4294967295x', 'half', { duplex: 'half' }],
])('speed %j, duplex %j', async (speed, duplex, expected) => {
  const recorded = recordedNic('e1000-6.12', 'eth1', 'last');
  const sysfs = '/sys/class/net/eth1';
  const files = { ...recorded.files, [`${sysfs}/speed`]: speed, [`${sysfs}/duplex`]: duplex };
  const nic = await readNic({ ...recorded, files }, 'eth1');
  const { speedMbps, duplex: told } = nic?.settings ?? {};
  expect({ speedMbps, duplex: told }).toEqual({
    speedMbps: undefined,
    duplex: undefined,
    ...expected,
  });
});

test('stuck transmit queues are added up, and unknown where no queue tells', async () => {
  const recorded = recordedNic('e1000-6.12', 'eth1', 'first');
  expect((await readNic(recorded, 'eth1'))?.txTimeouts).toBeUndefined();
  const queue = (number: number) => `/sys/class/net/eth1/queues/tx-${number}/tx_timeout`;
  const files = { ...recorded.files, [queue(0)]: '2\n', [queue(1)]: '3\n', [queue(2)]: 'x\n' };
  expect((await readNic({ ...recorded, files }, 'eth1'))?.txTimeouts).toBe(5n);
});

test('hundreds of virtual interfaces start no process, and no ethtool is no trouble there', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`/sys/class/net/veth${index}/mtu`, '1500\n']),
  );
  const host = fakeHost({ files });
  let runs = 0;
  const counting = {
    ...host,
    run: (...call: Parameters<typeof host.run>) => {
      runs++;
      return host.run(...call);
    },
  };
  const reading = await ethtool.read(counting, { phase: 'last', interfaces: [] });
  expect(reading).toEqual({ status: 'ok', value: { interfaces: new Map() } });
  expect(runs).toBe(0);
});

test('without ethtool the check says so', async () => {
  expect(await read({ files: nicFiles('eth0') })).toEqual(
    unread('absent', 'ethtool: not installed'),
  );
});

test('a driver without statistics and without a ring', async () => {
  const unsupported = { stderr: 'netlink error: Operation not supported\n', exitCode: 95 };
  const nic = await readNic(
    {
      files: nicFiles('usb0'),
      commands: {
        'ethtool -S usb0': { stderr: 'no stats available\n', exitCode: 94 },
        'ethtool -g usb0': unsupported,
        'ethtool -i usb0': 'driver: cdc_ether\nversion: 6.12.1\nbus-info: usb-1\n',
      },
    },
    'usb0',
  );
  expect(nic).toEqual({
    settings: { driver: 'cdc_ether', version: '6.12.1', bus: 'usb-1', rxQueues: 1 },
  });
});

test('one card that does not answer does not hide the others', async () => {
  const good = composedNic('bnxt_en', 'last', {}, 'eth0');
  const reading = await read({
    files: { ...good.files, ...nicFiles('eth1') },
    commands: {
      ...good.commands,
      'ethtool -S eth1': unread('timeout', 'no answer within 2 s'),
      'ethtool -g eth1': unread('timeout', 'no answer within 2 s'),
      'ethtool -i eth1': { stderr: 'ethtool: Operation not permitted\n', exitCode: 1 },
    },
  });
  expect(reading).toMatchObject({
    status: 'ok',
    notes: ['ethtool -S eth1: no answer within 2 s'],
  });
  const interfaces = reading.status === 'ok' ? reading.value.interfaces : new Map<string, Nic>();
  expect(interfaces.get('eth0')?.statistics?.get('[0]: rx_discards')).toBe(41n);
  expect(interfaces.get('eth1')).toEqual({ settings: { rxQueues: 1 } });
});

test('only the interfaces that were asked for', async () => {
  const one = composedNic('ixgbe', 'last', {}, 'eth0');
  const two = composedNic('i40e', 'last', {}, 'eth1');
  const machine = {
    files: { ...one.files, ...two.files },
    commands: { ...one.commands, ...two.commands },
  };
  const reading = await read(machine, 'last', ['eth1']);
  expect(reading.status === 'ok' ? [...reading.value.interfaces.keys()] : []).toEqual(['eth1']);
});

test('gauges are no counters; queues are one counter', async () => {
  const reading = await read(composedNic('ena', 'last', {}));
  const counters = reading.status === 'ok' ? [...(ethtool.counters?.(reading.value) ?? [])] : [];
  expect(counters).toContainEqual(['eth0.queue_N_rx_empty_rx_ring', 3n]);
  expect(counters.map(([name]) => name)).not.toContain('eth0.conntrack_allowance_available');
});

test.each([
  ['rx_fifo', true],
  ['rx_ring0_no_buf', true],
  ['rx_dropped', false],
  ['tx_dropped', false],
  ['rx_csum_offload_missed', false],
  ['rx_filtered_discards', false],
  ['fdir_miss', false],
  ['temperature', false],
])('by its name, %s is a loss for want of room: %s', (name, expected) => {
  expect(soundsLikeRxLoss(name)).toBe(expected);
});

test('garbage never throws', () => {
  assert(
    property(string(), string(), (noise, more) => {
      const lines = `${noise}\nRX: ${more}\nCurrent hardware settings:\nRX:\t${noise}\n${more}: 5`;
      for (const value of parseStatistics(lines).values()) expect(value).toBeGreaterThanOrEqual(0n);
      const { rx } = parseRing(lines) ?? {};
      expect(rx === undefined || Number.isSafeInteger(rx)).toBe(true);
      expect(() => parseIdentity(lines)).not.toThrow();
    }),
  );
});

test('a huge line of blanks takes no time', () => {
  const line = `a${' '.repeat(1_000_000)}`;
  expect(parseStatistics(line).size).toBe(0);
  expect(parseIdentity(`driver: ${line}`)).toEqual({ driver: 'a' });
});

test('an interface name and a statistic may be anything', async () => {
  const name = '\u001b[31m$(id)';
  const nic = await readNic(
    {
      files: nicFiles(name),
      commands: {
        [`ethtool -S ${name}`]: 'NIC statistics:\n     __proto__: 1\n     \u001b]0;x: 2\n',
      },
    },
    name,
  );
  expect(nic?.statistics).toEqual(
    new Map([
      ['__proto__', 1n],
      ['\u001b]0;x', 2n],
    ]),
  );
});
