import { expect, test } from 'vitest';
import drops from '../../../checks/drops.ts';
import type { Companions } from '../../../src/model/companions.ts';
import type { DropCapture, DropFlow } from '../../../src/model/drops.ts';
import { ok, unread, type Reading } from '../../../src/model/reading.ts';
import { fakeHost, type FakeMachine } from './fake-host.ts';

const HERE = 4_026_532_000;

const none: Companions = {
  fullSockets: null,
  retransmits: null,
  synAckRetransmits: null,
  resetsSent: null,
  resetsReceived: null,
  badChecksums: null,
  missed: 0,
};

function captureOf(flows: readonly Partial<DropFlow>[], netns: number | null = HERE): DropCapture {
  const topFlows = flows.map((flow) => ({
    source: '10.0.0.1',
    destination: '10.0.0.2',
    packets: 10,
    ...flow,
  }));
  const details = { netns, ifindex: null, interface: null, ipProtocol: 6, topFlows };
  const rest = { flowCount: flows.length, flowsApproximate: false, samples: [], stack: [] };
  return {
    backend: 'bpf',
    events: 10,
    lost: 0,
    hasReasons: true,
    drops: [
      {
        reason: 'PROTO_MEM',
        location: 'tcp_data_queue',
        protocol: 0x0800,
        packets: 10,
        edgePackets: 0,
        details: { ...details, ...rest },
      },
    ],
  };
}

function fullSocket(socket: number | null, local: string | null): Companions {
  const row = { netns: HERE, limit: 'receive-buffer', protocol: 'udp', local, socket } as const;
  const rows = [{ ...row, packets: 9, rcvbufBytes: 4096, queuedBytesMax: 4000 }];
  return { ...none, fullSockets: { rows, rest: [] } };
}

async function watch(
  capture: DropCapture,
  commands: FakeMachine['commands'] = {},
  files: FakeMachine['files'] = {},
): Promise<Reading<DropCapture>> {
  const host = fakeHost({ commands, files, facts: { netnsInode: HERE } });
  const watching = await drops.start(
    {
      ...host,
      startCapture: async () => ok({ mark: () => undefined, stop: async () => ok(capture) }),
    },
    { capture: 'bpf' },
  );
  if (watching.status !== 'ok') throw new Error(watching.reason);
  return watching.value.stop();
}

const SS = `ESTAB 0 0 10.0.0.2:80 10.0.0.1:40000 users:(("nginx",pid=7,fd=3)) ino:55 sk:1 cgroup:/system.slice/nginx.service <->
ESTAB 0 0 10.0.0.2:80 10.0.0.1:40001 users:(("other",pid=8,fd=3)) ino:56 sk:2 cgroup:/system.slice/other.service <->
`;

test('sockets that lost packets get their process and control group; those of others do not', async () => {
  const capture = captureOf([{ socket: 55, ports: { source: 40000, destination: 80 } }]);
  const reading = await watch(capture, {
    'ss -H -tuwanmpe ( sport = :40000 or sport = :80 )': SS,
  });
  const owners = new Map([[55, { pid: 7, name: 'nginx' }]]);
  const cgroups = new Map([[55, '/system.slice/nginx.service']]);
  expect(reading).toEqual(ok({ ...capture, owners, cgroups }));
});

test('a full socket is asked for by its own port, one without a known port by no port', async () => {
  const companions = fullSocket(55, '0.0.0.0:53');
  const byPort = await watch(
    { ...captureOf([]), companions },
    { 'ss -H -tuwanmpe ( sport = :53 )': SS },
  );
  expect(byPort).toMatchObject({ value: { owners: new Map([[55, { pid: 7, name: 'nginx' }]]) } });
  const capture = { ...captureOf([{ socket: 56 }]), companions };
  const all = await watch(capture, { 'ss -H -tuwanmpe': SS });
  expect([...((all.status === 'ok' && all.value.owners) || [])].map(([inode]) => inode)).toEqual([
    55, 56,
  ]);
});

test.each<[string, DropCapture]>([
  ['no socket known', captureOf([{}])],
  ['too few packets to matter', captureOf([{ socket: 55, packets: 4 }])],
  ['another network namespace', captureOf([{ socket: 55 }], HERE + 1)],
  ['the kernel itself', { ...captureOf([]), companions: fullSocket(null, '0.0.0.0:4789') }],
])('nobody is searched for: %s', async (_, capture) => {
  expect(await watch(capture)).toEqual(ok(capture));
});

test('without ss the capture is as good, with a note', async () => {
  const capture = captureOf([{ socket: 55 }]);
  expect(await watch(capture)).toEqual(
    ok(capture, [
      'Which processes own the sockets that lost packets is not known: ss is not installed.',
    ]),
  );
});

test('a capture that is not possible is passed on', async () => {
  expect(await drops.start(fakeHost({}), { capture: 'bpf' })).toEqual(
    unread('absent', 'A fake host has no capture.'),
  );
});

test('an interface of this namespace known by its number only gets its name; those of others do not', async () => {
  const [drop] = captureOf([]).drops;
  if (drop?.details === undefined) throw new Error('the capture has a drop');
  const { details } = drop;
  const byNumber = (netns: number, ifindex: number) => ({
    ...drop,
    details: { ...details, netns, ifindex },
  });
  const reading = await watch(
    { ...captureOf([]), drops: [byNumber(HERE, 7), byNumber(HERE, 8), byNumber(HERE + 1, 7)] },
    {},
    { '/sys/class/net/eth0/ifindex': '7\n', '/sys/class/net/bonding_masters': 'bond0\n' },
  );
  if (reading.status !== 'ok') throw new Error(reading.reason);
  expect(reading.value.drops.map((each) => each.details?.interface)).toEqual(['eth0', null, null]);
});
