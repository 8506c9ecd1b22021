import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import interrupts, { parseInterrupts } from '../../../checks/interrupts.ts';
import { fakeHost } from './fake-host.ts';

// Of a virtio card (6.18), with CPU 1 offline.
const text = `           CPU0       CPU2       
 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config
 38:          4      29785 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
 39:      29223          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0
NMI:          0          0   Non-maskable interrupts
ERR:          0
`;
const irqs = new Map([['eth0', [38, 39]]]);
const cards = new Map([
  [
    'eth0',
    [
      {
        irq: 38,
        name: 'virtio2-input.0',
        perCpu: new Map([
          [0, 4n],
          [2, 29785n],
        ]),
      },
      {
        irq: 39,
        name: 'virtio2-output.0',
        perCpu: new Map([
          [0, 29223n],
          [2, 0n],
        ]),
      },
    ],
  ],
]);

test('rows of the card, by the numbers of the CPUs that are online', () => {
  expect(parseInterrupts(text, irqs)).toEqual({ status: 'ok', value: { cards } });
});

test('the interrupts of a virtio card belong to the PCI device above it', async () => {
  const host = fakeHost({
    files: {
      '/proc/interrupts': text,
      '/sys/class/net/eth0/device/../msi_irqs/38': '',
      '/sys/class/net/eth0/device/../msi_irqs/39': '',
      '/sys/class/net/lo/mtu': '65536',
    },
  });
  const first = await interrupts.read(host, { phase: 'first', interfaces: [] });
  expect(first).toEqual({ status: 'ok', value: { cards } });
  const again = { phase: 'last', interfaces: [], first: { cards } } as const;
  expect(await interrupts.read(host, again)).toEqual(first);
});

test('without such cards the table, which is large on large machines, is not read', async () => {
  const host = fakeHost({ files: { '/sys/class/net/lo/mtu': '65536' } });
  expect(await interrupts.read(host, { phase: 'first', interfaces: [] })).toEqual({
    status: 'ok',
    value: { cards: new Map() },
  });
});

test('what the kernel calls virtual is not looked at', async () => {
  const host = fakeHost({
    files: {
      '/proc/interrupts': text,
      '/sys/class/net/eth0/device/msi_irqs/38': '',
      '/sys/class/net/eth0/device/msi_irqs/39': '',
      '/sys/class/net/veth0/mtu': '1500',
      '/sys/devices/virtual/net/veth0/mtu': '1500',
    },
  });
  const listed: string[] = [];
  const counting = {
    ...host,
    list: (directory: string) => {
      listed.push(directory);
      return host.list(directory);
    },
  };
  expect(await interrupts.read(counting, { phase: 'first', interfaces: [] })).toEqual({
    status: 'ok',
    value: { cards },
  });
  expect(listed.filter((directory) => directory.includes('veth'))).toEqual([]);
});

test('rows that are cut off or no numbers are left out; no table at all is said', () => {
  const cut = parseInterrupts(' CPU0 CPU1\n 38: 12', irqs);
  expect(cut).toEqual({ status: 'ok', value: { cards: new Map([['eth0', []]]) } });
  expect(parseInterrupts('', irqs)).toMatchObject({ status: 'malformed' });
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (garbage) => {
      const { status } = parseInterrupts(garbage, irqs);
      expect(['ok', 'malformed']).toContain(status);
    }),
  );
});
