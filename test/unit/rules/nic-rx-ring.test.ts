import { expect, test } from 'vitest';
import ethtool from '../../../checks/ethtool.ts';
import link from '../../../checks/link.ts';
import { parseSoftnet, type Softnet } from '../../../checks/softnet.ts';
import rule from '../../../rules/nic/nic-rx-ring.ts';
import type { Sampled, SampledCheck } from '../../../src/model/check.ts';
import type { Fix } from '../../../src/model/fix.ts';
import type { CauseFinding } from '../../../src/model/rule.ts';
import { fakeHost, type FakeMachine } from '../checks/fake-host.ts';
import {
  composedNic,
  linkJson,
  nicFiles,
  recordedNic,
  type LinkRx,
} from '../checks/nic-fixture.ts';
import { causesOf, linkRise, settings, softnetRise, window as fiveSeconds } from './evidence.ts';

async function window<Value>(
  check: SampledCheck<Value>,
  first: FakeMachine,
  last: FakeMachine,
): Promise<Sampled<Value>> {
  const read = async (machine: FakeMachine, phase: 'first' | 'last'): Promise<Value> => {
    const reading = await check.read(fakeHost(machine), { phase, interfaces: [] });
    if (reading.status !== 'ok') throw new Error(reading.reason);
    return reading.value;
  };
  const values = { first: await read(first, 'first'), last: await read(last, 'last') };
  return { ...values, samples: [values.first, values.last] };
}

async function judge(
  first: FakeMachine,
  last: FakeMachine,
  more: Partial<Parameters<typeof rule.judge>[0]> = {},
): Promise<readonly CauseFinding[]> {
  const evidence = {
    ethtool: await window(ethtool, first, last),
    link: await window(link, first, last),
    softnet: undefined,
    sysctl: undefined,
    ...more,
  };
  return causesOf(rule.judge(evidence, fiveSeconds));
}

const recorded = (recording: string, name: string) =>
  judge(recordedNic(recording, name, 'first'), recordedNic(recording, name, 'last'));

const composed = (driver: string, first: LinkRx = {}, last: LinkRx = {}) =>
  judge(composedNic(driver, 'first', first), composedNic(driver, 'last', last));

interface Literal {
  readonly name?: string;
  readonly driver?: string;
  readonly statistics?: Readonly<Record<string, number>>;
  readonly rx?: LinkRx;
  readonly ring?: readonly [now: number, max: number];
  readonly link?: Record<string, unknown>;
}

/** A card in a few words. */
function nic({
  name = 'eth0',
  driver = 'igb',
  statistics = {},
  rx,
  ring = [256, 4096],
  link,
}: Literal) {
  const lines = Object.entries(statistics).map(([key, value]) => `     ${key}: ${value}`);
  const section = (size: number) => `RX:\t\t${size}\nTX:\t\t${size}\n`;
  return {
    files: nicFiles(name, 4),
    commands: {
      [`ethtool -i ${name}`]: `driver: ${driver}\nversion: 6.12\n`,
      [`ethtool -g ${name}`]: `Pre-set maximums:\n${section(ring[1])}Current hardware settings:\n${section(ring[0])}`,
      [`ethtool -S ${name}`]: `NIC statistics:\n${lines.join('\n')}\n`,
      'ip -j -s -s -d link show': linkJson(name, rx ?? {}, link),
    },
  };
}

function ringStep(fix: Fix | undefined) {
  return fix?.steps.find((step) => step.kind === 'ethtool');
}

test.each([
  ['e1000-6.1', 'eth1'],
  ['e1000-6.12', 'eth1'],
])('recorded %s: the ring ran empty and packets were missed', async (recording, name) => {
  const [cause, ...others] = await recorded(recording, name);
  expect(others).toEqual([]);
  expect(cause).toMatchObject({
    confidence: 'certain',
    scope: { interface: name },
    beforeEvents: true,
    claims: [],
  });
  expect(cause?.packets).toBeGreaterThan(10_000);
  expect(cause?.because.map(({ source }) => source)).toEqual([
    `ethtool -S ${name}`,
    `/sys/class/net/${name}/statistics/rx_missed_errors`,
    `ethtool -g ${name}`,
  ]);
  expect(cause?.fixes[0]).toMatchObject({
    id: 'enlarge-ring',
    risk: 'disruptive',
    steps: [{ kind: 'ethtool', interface: name, setting: 'rx', from: '256', to: '512' }],
    expect: {
      counter: `link ${name}.rx_missed_errors`,
      traffic: `link ${name}.rx_packets`,
    },
  });
});

test.each([
  ['vmxnet3-6.12', 'eth4', 15_630],
  ['vmxnet3-6.1', 'eth4', 17_454],
])('recorded %s: only the driver counts the loss', async (recording, name, packets) => {
  const [cause] = await recorded(recording, name);
  expect(cause).toMatchObject({ confidence: 'certain', packets });
  // Lost and received packets together are what pktgen sent, and a few of IPv6 autoconfiguration.
  expect(cause?.traffic?.packets).toBeGreaterThanOrEqual(20_000);
  expect(cause?.traffic?.packets).toBeLessThan(20_100);
  expect(ringStep(cause?.fixes[0])).toMatchObject({ from: '1024', to: '2048' });
  expect(cause?.fixes[0]?.expect?.counter).toBe(`ethtool ${name}.pkts rx OOB`);
});

test('recorded 8139cp: an unknown driver, the ring at its maximum', async () => {
  const [cause] = await recorded('8139cp-6.12', 'eth5');
  expect(cause).toMatchObject({ confidence: 'likely', packets: 9393 });
  expect(cause?.fixes.map(({ id }) => id)).toEqual(['spread-load']);
  const [step] = cause?.fixes[0]?.steps ?? [];
  expect(step?.kind === 'manual' ? step.text : '').toContain('already at its maximum (64)');
});

test.each([
  ['e1000e-6.12', 'eth2'],
  ['virtio_net-6.12', 'eth3'],
  ['virtio_net-6.1', 'eth3'],
])('recorded %s: much traffic, no loss the guest could count, silence', async (recording, name) => {
  expect(await recorded(recording, name)).toEqual([]);
});

test('mlx5: no buffer, and the port is innocent', async () => {
  const [cause] = await composed('mlx5_core', { packets: 1_000_000 }, { packets: 1_050_000 });
  expect(cause).toMatchObject({
    confidence: 'certain',
    packets: 500,
    traffic: { packets: 50_500 },
    fixes: [{ risk: 'caution', steps: [{ from: '1024', to: '2048' }] }],
  });
  expect(cause?.because[0]).toMatchObject({ first: '18446744073709551000' });
  expect(cause?.rulesOut.map(({ id }) => id)).toContain('nic-rx-fifo');
});

test('i40e and bnxt: queue lines and totals count a packet once', async () => {
  expect((await composed('i40e', {}, { missed_errors: 300 }))[0]).toMatchObject({
    confidence: 'certain',
    packets: 300,
  });
  const [bnxt] = await composed('bnxt_en', {}, { missed_errors: 50 });
  expect(bnxt).toMatchObject({ confidence: 'certain', packets: 50 });
  expect(bnxt?.fixes.map(({ id }) => id)).toEqual(['spread-load']);
});

test('ena: rx_dropped counts only because the ring was empty', async () => {
  const [cause] = await composed('ena', { dropped: 5 }, { dropped: 45 });
  expect(cause).toMatchObject({ confidence: 'certain', packets: 40 });
  expect(cause?.fixes[0]?.risk).toBe('caution');
});

test('a full port buffer with free descriptors is another cause', async () => {
  expect(await composed('ixgbe', { missed_errors: 100 }, { missed_errors: 2100 })).toEqual([]);
  // igb adds rx_missed_errors, which counts the port here, to rx_fifo_errors as well.
  const full = { missed_errors: 900, fifo_errors: 900 };
  expect(await judge(nic({}), nic({ statistics: { rx_missed_errors: 900 }, rx: full }))).toEqual(
    [],
  );
  const statistics = { rx_out_of_buffer: 7, rx_discards_phy: 10 };
  expect(
    await judge(
      nic({ driver: 'mlx5_core', statistics }),
      nic({ driver: 'mlx5_core', statistics: { ...statistics, rx_discards_phy: 1_000_000 } }),
    ),
  ).toEqual([]);
});

test('ring and port at once: the ring loses only its own, and the port is not ruled out', async () => {
  const [cause] = await judge(
    nic({ driver: 'mlx5_core', statistics: { rx_out_of_buffer: 0, rx_discards_phy: 0 } }),
    nic({ driver: 'mlx5_core', statistics: { rx_out_of_buffer: 3, rx_discards_phy: 900 } }),
  );
  expect(cause?.packets).toBe(3);
  expect(cause?.rulesOut.map(({ id }) => id)).not.toContain('nic-rx-fifo');
});

test('igb: packets that met an empty ring bound what the port lost to it', async () => {
  const before = { rx_no_buffer_count: 10, rx_missed_errors: 0, rx_queue_0_drops: 0 };
  const [cause] = await judge(
    nic({ statistics: before }),
    nic({
      statistics: { rx_no_buffer_count: 14, rx_missed_errors: 900, rx_queue_0_drops: 0 },
      rx: { missed_errors: 900, fifo_errors: 900 },
    }),
  );
  expect(cause?.packets).toBe(4);
});

test('igb: the queues are added up', async () => {
  const [cause] = await judge(
    nic({ statistics: { rx_queue_0_drops: 1, rx_queue_1_drops: 1 } }),
    nic({ statistics: { rx_queue_0_drops: 3, rx_queue_1_drops: 5 }, rx: { fifo_errors: 6 } }),
  );
  expect(cause).toMatchObject({
    packets: 6,
    fixes: [{ expect: { counter: 'ethtool eth0.rx_queue_N_drops' } }],
  });
});

test('the ring ran empty, nothing was lost: a notice without a fix', async () => {
  const [cause] = await judge(
    nic({ statistics: { rx_no_buffer_count: 10 } }),
    nic({ statistics: { rx_no_buffer_count: 11 } }),
  );
  expect(cause).toMatchObject({ packets: 0, severityAtMost: 'notice', fixes: [] });
});

test.each(['igb', 'ena', 'vmxnet3', 'virtio_net', 'i40e', 'nobody-knows'])(
  'frames nobody wanted (rx_dropped alone) are no ring loss on %s',
  async (driver) => {
    const at = (dropped: number) =>
      nic({ driver, statistics: { rx_dropped: dropped, rx_packets: 1 }, rx: { dropped } });
    expect(await judge(at(0), at(500))).toEqual([]);
  },
);

test('totals since boot and a small ring are no evidence', async () => {
  const statistics = { rx_queue_0_drops: 1_000_000, rx_no_buffer_count: 5000 };
  const old = nic({ statistics, rx: { missed_errors: 70_000 }, ring: [64, 4096] });
  expect(await judge(old, old)).toEqual([]);
});

test('one packet is the boundary', async () => {
  const [cause] = await judge(
    nic({ statistics: { rx_queue_0_drops: 7 } }),
    nic({ statistics: { rx_queue_0_drops: 8 } }),
  );
  expect(cause?.packets).toBe(1);
});

test('a counter that went down (reset by a new ring size) tells nothing', async () => {
  expect(
    await judge(
      nic({ statistics: { rx_queue_0_drops: 700 } }),
      nic({ statistics: { rx_queue_0_drops: 8 } }),
    ),
  ).toEqual([]);
});

test.each([
  [[256, 4096], '512'],
  [[3000, 4096], '4096'],
  [[4095, 4096], '4096'],
] as const)('ring %j grows to %s', async (ring, to) => {
  const [cause] = await judge(
    nic({ statistics: { rx_queue_0_drops: 0 }, ring }),
    nic({ statistics: { rx_queue_0_drops: 9 }, ring }),
  );
  expect(ringStep(cause?.fixes[0])).toMatchObject({ from: String(ring[0]), to });
});

test('memory is that of all queues, with room for the MTU', async () => {
  const [cause] = await judge(
    nic({ statistics: { rx_queue_0_drops: 0 }, link: { mtu: 9000 } }),
    nic({ statistics: { rx_queue_0_drops: 9 }, link: { mtu: 9000 } }),
  );
  // 256 more descriptors x 4 queues x 12 KiB
  expect(cause?.fixes[0]?.cost).toContain('12.0 MiB');
});

test('an unknown driver: standard statistics are likely, a name that sounds like it is a notice', async () => {
  const first = nic({ driver: 'acme', statistics: { rx_ring_drops: 1 } });
  const [likely] = await judge(
    first,
    nic({
      driver: 'acme',
      statistics: { rx_ring_drops: 61 },
      rx: { missed_errors: 60, fifo_errors: 60 },
    }),
  );
  expect(likely).toMatchObject({ confidence: 'likely', packets: 60 });
  const [possible] = await judge(first, nic({ driver: 'acme', statistics: { rx_ring_drops: 61 } }));
  expect(possible).toMatchObject({
    confidence: 'possible',
    packets: 60,
    severityAtMost: 'notice',
    fixes: [],
  });
});

test('statistics that could not be read: the interface must carry the judgement', async () => {
  const blind = (rx: LinkRx): FakeMachine => {
    const machine = nic({ driver: 'mlx5_core', rx });
    return { ...machine, commands: { ...machine.commands, 'ethtool -S eth0': { exitCode: 94 } } };
  };
  const [cause] = await judge(blind({}), blind({ missed_errors: 20 }));
  expect(cause).toMatchObject({ confidence: 'certain', packets: 20 });
});

test('a ring of unknown size gets no number', async () => {
  const blind = (drops: number): FakeMachine => {
    const machine = nic({ statistics: { rx_queue_0_drops: drops } });
    return { ...machine, commands: { ...machine.commands, 'ethtool -g eth0': { exitCode: 95 } } };
  };
  const [cause] = await judge(blind(0), blind(5));
  expect(cause?.fixes[0]?.steps.map(({ kind }) => kind)).toEqual(['manual']);
});

test('an interface that came, or changed its device, within the window is not judged', async () => {
  const statistics = { rx_queue_0_drops: 5 };
  const rx = { missed_errors: 5 };
  const other = nic({ name: 'eth9', statistics });
  expect(await judge(other, nic({ statistics, rx }))).toEqual([]);
  expect(
    await judge(
      nic({ statistics: { rx_queue_0_drops: 1 } }),
      nic({ statistics, rx, link: { ifindex: 7 } }),
    ),
  ).toEqual([]);
});

test('a CPU out of time is told beside the ring', async () => {
  const softnetAt = (squeezes: string): Softnet => {
    const zeros = '00000000 '.repeat(9);
    const reading = parseSoftnet(`00000001 00000000 ${squeezes} ${zeros}00000003\n`);
    if (reading.status !== 'ok') throw new Error(reading.reason);
    return reading.value;
  };
  const [first, last] = [softnetAt('00000001'), softnetAt('0000000b')];
  const [cause] = await judge(
    nic({ statistics: { rx_queue_0_drops: 0 } }),
    nic({ statistics: { rx_queue_0_drops: 5 } }),
    { softnet: { first, last, samples: [first, last] } },
  );
  expect(cause?.because.at(-1)?.text).toContain('10 times');
});

test.each([
  [50, 300, ['enlarge-ring']],
  [51, 300, ['raise-budget', 'enlarge-ring']],
  [51, 1200, ['enlarge-ring']],
])('%d squeezes in 5 s with a budget of %d: %j', async (timeSqueeze, budget, ids) => {
  const [cause] = await judge(
    nic({ statistics: { rx_queue_0_drops: 0 } }),
    nic({ statistics: { rx_queue_0_drops: 5 } }),
    {
      softnet: softnetRise([{ timeSqueeze }]),
      sysctl: settings({ 'net.core.netdev_budget': budget }),
    },
  );
  expect(cause?.fixes.map(({ id }) => id)).toEqual(ids);
});

test('the budget is doubled up to its limit, and measured by the loss', async () => {
  const sysctl = settings({ 'net.core.netdev_budget': 1000, 'net.core.netdev_budget_usecs': 8000 });
  const [cause] = await judge(
    nic({ statistics: { rx_queue_0_drops: 0 } }),
    nic({ statistics: { rx_queue_0_drops: 5 } }),
    { softnet: softnetRise([{ timeSqueeze: 500 }]), sysctl },
  );
  expect(cause?.fixes[0]).toMatchObject({
    risk: 'safe',
    steps: [
      { key: 'net.core.netdev_budget', from: '1000', to: '1200' },
      { key: 'net.core.netdev_budget_usecs', from: '8000', to: '16000' },
    ],
    expect: { counter: 'ethtool eth0.rx_queue_N_drops' },
  });
});

test('without ethtool the interface carries the judgement, and ethtool is the next step', async () => {
  const blind = { ethtool: undefined };
  const lost = nic({ rx: { missed_errors: 60, fifo_errors: 40 } });
  const [cause, ...others] = await judge(nic({}), lost, blind);
  expect(others).toEqual([]);
  expect(cause).toMatchObject({
    confidence: 'likely',
    packets: 60,
    scope: { interface: 'eth0' },
    fixes: [{ id: 'install-ethtool', risk: 'none', steps: [{ kind: 'manual' }] }],
    beforeEvents: true,
  });
  expect(cause?.because.map(({ source }) => source)).toEqual([
    '/sys/class/net/eth0/statistics/rx_missed_errors',
    '/sys/class/net/eth0/statistics/rx_fifo_errors',
  ]);
  expect(await judge(nic({}), nic({ rx: { dropped: 60 } }), blind)).toEqual([]);
  expect(await judge(lost, lost, blind)).toEqual([]);
});

test.each([
  ['a virtual one', { kind: 'tun' }],
  ['loopback', { loopback: true }],
  ['a bond, where iproute2 is missing', {}],
])('without ethtool, %s is no network card', (_, more) => {
  const links = linkRise({
    bond0: { rxMissed: 60n, ...more },
    ...(Object.keys(more).length === 0 ? { eth0: { rxMissed: 60n, master: 'bond0' } } : {}),
  });
  const evidence = { link: links, ethtool: undefined, softnet: undefined, sysctl: undefined };
  const found = causesOf(rule.judge(evidence, fiveSeconds));
  expect(found.map(({ scope }) => scope.interface)).not.toContain('bond0');
  expect(found).toHaveLength(Object.keys(more).length === 0 ? 1 : 0);
});

test('names from the machine pass unchanged into scope and step', async () => {
  const name = '$(id)\u001b[31m';
  const [cause] = await judge(
    nic({ name, statistics: { rx_queue_0_drops: 0 } }),
    nic({ name, statistics: { rx_queue_0_drops: 5 } }),
  );
  expect(cause?.scope.interface).toBe(name);
  expect(ringStep(cause?.fixes[0])).toMatchObject({ interface: name });
});

test('a driver named like a member of every object is an unknown driver', async () => {
  expect(await judge(nic({ driver: 'constructor' }), nic({ driver: 'constructor' }))).toEqual([]);
});
