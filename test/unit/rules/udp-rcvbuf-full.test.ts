import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Snmp } from '../../../checks/snmp.ts';
import type { DatagramSocket, SocketsValue } from '../../../checks/sockets.ts';
import { Sysctl } from '../../../checks/sysctl.ts';
import rule from '../../../rules/udp/udp-rcvbuf-full.ts';
import type { Sampled } from '../../../src/model/check.ts';
import type { Companions, FullSocket } from '../../../src/model/companions.ts';
import type { DropCapture, DropCount, DropFlow } from '../../../src/model/drops.ts';
import type { CauseFinding } from '../../../src/model/rule.ts';
import { details } from './evidence.ts';

type Counters = Readonly<Record<string, number>>;
/** One reading of a socket: what it lost so far, what waits. Undefined: it is not open. */
type Look = readonly [drops: number, queueBytes: number] | undefined;

interface Case {
  readonly first?: Counters;
  readonly last: Counters;
  readonly sockets?: Readonly<Record<string, SocketCase>>;
  readonly settings?: Readonly<Record<string, string>> | null;
  readonly drops?: readonly DropCount[];
  /** What the BPF capture was told of full sockets. */
  readonly told?: readonly Partial<FullSocket>[];
  readonly owners?: DropCapture['owners'];
}

interface SocketCase extends Partial<DatagramSocket> {
  /** The last one stands for all that follow. */
  readonly looks: readonly Look[];
  /** Ss told nothing about it. */
  readonly undetailed?: true;
}

const DEFAULT = 212_992;
const MAX = 4_194_304;
const SETTINGS = {
  'net.core.rmem_default': String(DEFAULT),
  'net.core.rmem_max': String(MAX),
  'net.ipv4.udp_mem': '575802 767738 1151604',
};

function judge({ first = {}, last, sockets = {}, settings = SETTINGS, drops, ...rest }: Case) {
  const capture: DropCapture | undefined =
    drops === undefined && rest.told === undefined
      ? undefined
      : {
          backend: 'tracefs',
          events: 0,
          lost: 0,
          hasReasons: true,
          drops: drops ?? [],
          ...(rest.told !== undefined && { companions: companionsOf(rest.told) }),
          ...(rest.owners !== undefined && { owners: rest.owners }),
        };
  const values = settings === null ? undefined : new Sysctl(new Map(Object.entries(settings)));
  const findings = rule.judge(
    {
      snmp: snmpOf({ ...zero(last), ...first }, last),
      sockets: socketsOf(sockets),
      sysctl: values && { first: values, last: values, samples: [values] },
      drops: capture,
    },
    { seconds: 5, foreignNetns: false, severalNetns: false, interfaces: [] },
  );
  return findings.filter((finding): finding is CauseFinding => finding.kind === 'cause');
}

function companionsOf(told: readonly Partial<FullSocket>[]): Companions {
  const rows = told.map((row): FullSocket => ({
    netns: 1,
    limit: 'receive-buffer',
    protocol: 'udp',
    local: '0.0.0.0:53',
    socket: 53,
    packets: 100,
    rcvbufBytes: DEFAULT,
    queuedBytesMax: DEFAULT,
    ...row,
  }));
  return {
    fullSockets: { rows, rest: [] },
    retransmits: null,
    synAckRetransmits: null,
    resetsSent: null,
    resetsReceived: null,
    badChecksums: null,
    missed: 0,
  };
}

function zero(counters: Counters): Counters {
  return Object.fromEntries(Object.keys(counters).map((name) => [name, 0]));
}

function snmpOf(first: Counters, last: Counters): Sampled<Snmp> {
  const value = (counters: Counters): Snmp => ({
    counters: new Map(Object.entries(counters).map(([name, count]) => [name, BigInt(count)])),
  });
  return { first: value(first), last: value(last), samples: [value(first), value(last)] };
}

function socketsOf(cases: Readonly<Record<string, SocketCase>>): Sampled<SocketsValue> {
  const readings = Math.max(2, ...Object.values(cases).map(({ looks }) => looks.length));
  const samples = Array.from({ length: readings }, (_, index): SocketsValue => ({
    raw: new Map(),
    udp: new Map(
      Object.entries(cases).flatMap(([key, { looks, ...rest }]) => {
        const look = looks[Math.min(index, looks.length - 1)];
        return look === undefined ? [] : [[key, socketOf(key, look, rest)] as const];
      }),
    ),
  }));
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) throw new Error('no reading');
  return { first, last, samples };
}

function socketOf(
  key: string,
  [drops, queueBytes]: NonNullable<Look>,
  { undetailed, ...rest }: Omit<SocketCase, 'looks'>,
): DatagramSocket {
  return {
    key,
    protocol: 'udp',
    local: `0.0.0.0:${key}`,
    peer: null,
    inode: Number(key),
    uid: 0,
    drops: BigInt(drops),
    queueBytes,
    ...(undetailed === true ? {} : { rcvbufBytes: DEFAULT, process: { pid: 7, name: 'named' } }),
    ...rest,
  };
}

/** Loses 100 datagrams in the first quarter second; found with that much waiting at each look. */
const looks = (...queues: readonly number[]): readonly Look[] => [
  [0, 0],
  ...queues.map((queue): Look => [100, queue]),
];
const bursty = looks(0, 0, 0, 0, 0);
const stuck = looks(DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
const lost100 = { 'Udp.RcvbufErrors': 100, 'Udp.InErrors': 100, 'Udp.InDatagrams': 900 };

const one = (socket: SocketCase, rest: Partial<Case> = {}): CauseFinding => {
  const findings = judge({ last: lost100, sockets: { 53: socket }, ...rest });
  expect(findings).toHaveLength(1);
  return findings[0] as CauseFinding;
};

/** What it would write, and the ids of what it suggests. */
const advice = ({ fixes }: CauseFinding) => ({
  ids: fixes.map(({ id }) => id),
  writes: fixes.flatMap(({ steps }) => steps.filter(({ kind }) => kind === 'sysctl')),
});

test('names the socket and its process, counts each packet once', () => {
  expect(one({ looks: bursty })).toMatchObject({
    confidence: 'certain',
    packets: 100,
    traffic: { packets: 1000 },
    scope: { socket: 'udp 0.0.0.0:53', process: { pid: 7, name: 'named' } },
    claims: [
      { reason: 'SOCKET_RCVBUFF', packets: 100 },
      { reason: null, packets: 100 },
    ],
  });
});

test('totals since boot do not fire, nor does a counter that ran backwards', () => {
  const old = { 'Udp.RcvbufErrors': 5000, 'Udp.InErrors': 5000 };
  const sockets = {
    53: {
      looks: [
        [5000, DEFAULT],
        [5000, DEFAULT],
      ] as const,
    },
  };
  expect(judge({ first: old, last: old, sockets })).toEqual([]);
  expect(judge({ first: old, last: { 'Udp.RcvbufErrors': 10 }, sockets })).toEqual([]);
});

test('drops of sockets without RcvbufErrors (checksum, filter, memory) are not ours', () => {
  const last = { 'Udp.RcvbufErrors': 0, 'Udp.InErrors': 100, 'Udp.InCsumErrors': 100 };
  expect(judge({ last, sockets: { 53: { looks: stuck } } })).toEqual([]);
});

test('IPv6 counters fire alone, and carry the expectation', () => {
  const finding = one({ looks: bursty, protocol: 'udp6' }, { last: { 'Udp6.RcvbufErrors': 100 } });
  expect(finding.fixes[0]?.expect).toEqual({
    counter: 'snmp Udp6.RcvbufErrors',
    change: 'stops-rising',
    traffic: 'snmp Udp6.InDatagrams',
  });
});

test('bursts into a buffer of the default size: rmem_default, for new sockets', () => {
  const finding = one({ looks: bursty });
  // 212,992 + 100 × 2,304 is more than twice the buffer; in steps of 64 KiB.
  expect(advice(finding)).toEqual({
    ids: ['raise-rmem-default'],
    writes: [
      {
        kind: 'sysctl',
        key: 'net.core.rmem_default',
        from: String(DEFAULT),
        to: String(7 * 65_536),
        hostWide: true,
      },
    ],
  });
  expect(finding.fixes[0]?.takesEffect).toBe('new-sockets');
});

test('bursts into a buffer the kernel capped: rmem_max, half of what is needed', () => {
  const finding = one({ looks: bursty, rcvbufBytes: 2 * MAX });
  expect(advice(finding)).toMatchObject({
    ids: ['raise-rmem-max'],
    writes: [{ key: 'net.core.rmem_max', from: String(MAX), to: String(2 * MAX) }],
  });
});

test.each([
  ['tiny', 8192],
  ['one byte off the default', DEFAULT + 2],
  ['forced beyond the maximum', 2 * MAX + 2],
])('bursts into a buffer the program chose (%s): no sysctl', (_, rcvbufBytes) => {
  const finding = one({ looks: bursty, rcvbufBytes });
  expect(advice(finding)).toEqual({ ids: ['set-so-rcvbuf'], writes: [] });
  expect(JSON.stringify(finding.fixes)).toContain(String(MAX));
});

test('a default that was raised after the socket was opened: a restart, no sysctl', () => {
  const settings = { ...SETTINGS, 'net.core.rmem_default': '1048576' };
  expect(advice(one({ looks: bursty }, { settings }))).toEqual({
    ids: ['restart-service'],
    writes: [],
  });
});

test.each([
  ['default', DEFAULT],
  ['capped', 2 * MAX],
  ['tiny', 8192],
])('a reader that does not keep up with a %s buffer gets no sysctl', (_, rcvbufBytes) => {
  const full = looks(...Array.from({ length: 8 }, () => rcvbufBytes * 0.95));
  const finding = one({ looks: full, rcvbufBytes });
  expect(advice(finding)).toEqual({ ids: ['read-faster'], writes: [] });
  expect(finding.means).toContain('named (pid 7)');
});

test('a reader that hangs and whose senders gave up is still one that hangs', () => {
  const finding = one({
    looks: [[0, 0], [100, DEFAULT], ...Array.from({ length: 6 }, (): Look => [100, DEFAULT])],
  });
  expect(advice(finding).ids).toEqual(['read-faster']);
});

test('the line between a slow reader and bursts: full in 80 % of the looks, at 70 % of the buffer', () => {
  const [full, low] = [DEFAULT * 0.7, DEFAULT * 0.7 - 1];
  const four = [full, full, full, full];
  expect(advice(one({ looks: looks(...four, low) })).ids).toEqual(['read-faster']);
  expect(advice(one({ looks: looks(...four, low, low) })).ids).toEqual(['raise-rmem-default']);
});

test('too few looks at a full queue: says so instead of guessing', () => {
  const three = looks(DEFAULT, DEFAULT, DEFAULT);
  expect(advice(one({ looks: three }))).toEqual({ ids: ['look-longer'], writes: [] });
  const four = looks(DEFAULT, DEFAULT, DEFAULT, DEFAULT);
  expect(advice(one({ looks: four })).ids).toEqual(['read-faster']);
});

test('a tiny buffer is full when it has no room for another datagram', () => {
  const finding = one({ looks: looks(2560, 2560, 2560, 2560), rcvbufBytes: 4608 });
  expect(advice(finding).ids).toEqual(['read-faster']);
});

test('could not look: no size or no settings, no sysctl', () => {
  const noSize = one({ looks: stuck, undetailed: true });
  expect(advice(noSize)).toEqual({ ids: ['look-longer'], writes: [] });
  expect(noSize).toMatchObject({ packets: 100, scope: { socket: 'udp 0.0.0.0:53' } });
  expect(noSize.scope).not.toHaveProperty('process');
  expect(advice(one({ looks: bursty }, { settings: null }))).toEqual({
    ids: ['set-so-rcvbuf'],
    writes: [],
  });
});

test('a burst no sensible buffer holds is the work of the reader', () => {
  const count = 40_000;
  const finding = one(
    {
      looks: [
        [0, 0],
        [count, 0],
        [count, 0],
      ],
    },
    { last: { 'Udp.RcvbufErrors': count } },
  );
  expect(advice(finding)).toEqual({ ids: ['read-faster'], writes: [] });
});

test('a small machine gets no buffer larger than a quarter of udp_mem', () => {
  const settings = { ...SETTINGS, 'net.ipv4.udp_mem': '100 200 400' };
  expect(advice(one({ looks: bursty }, { settings })).ids).toEqual(['read-faster']);
});

test('the largest burst counts, not the sum: the queue drained between', () => {
  const finding = one(
    {
      looks: [
        [0, 0],
        [500, 0],
        [1000, DEFAULT],
        [1100, 0],
        [1300, 0],
      ],
    },
    { last: { 'Udp.RcvbufErrors': 1300 } },
  );
  // 500 and 100 on top of a full queue: 600 × 2,304 beside the 212,992.
  const needed = DEFAULT + 600 * 2304;
  expect(advice(finding).writes).toMatchObject([
    { to: String(Math.ceil(needed / 65_536) * 65_536) },
  ]);
});

test('several sockets: each its own, and one value for the setting they share', () => {
  const findings = judge({
    last: { 'Udp.RcvbufErrors': 1100 },
    sockets: {
      53: { looks: bursty },
      514: {
        looks: [
          [0, 0],
          [1000, 0],
          [1000, 0],
        ],
      },
      123: {
        looks: [
          [77, 0],
          [77, 0],
        ],
      },
    },
  });
  expect(findings.map(({ packets, scope }) => [scope.socket, packets])).toEqual([
    ['udp 0.0.0.0:514', 1000],
    ['udp 0.0.0.0:53', 100],
  ]);
  const values = findings.flatMap((finding) => advice(finding).writes);
  expect(values).toHaveLength(2);
  expect(values[0]).toEqual(values[1]);
});

test('more than ten sockets: the rest in one finding', () => {
  const sockets = Object.fromEntries(
    Array.from({ length: 12 }, (_, index) => [String(1000 + index), { looks: bursty }]),
  );
  const findings = judge({ last: { 'Udp.RcvbufErrors': 1200 }, sockets });
  expect(findings).toHaveLength(11);
  expect(findings.at(-1)).toMatchObject({ packets: 200, scope: {} });
});

test('sockets that lost more than RcvbufErrors says lost for other reasons too: likely', () => {
  const sockets = { 53: { looks: bursty }, 514: { looks: bursty } };
  const findings = judge({ last: { 'Udp.RcvbufErrors': 100 }, sockets });
  expect(findings.map(({ packets, confidence }) => [packets, confidence])).toEqual([
    [50, 'likely'],
    [50, 'likely'],
  ]);
  // A single one is certain: what RcvbufErrors counted can only be its loss.
  const single = judge({ last: { 'Udp.RcvbufErrors': 60 }, sockets: { 53: { looks: bursty } } });
  expect(single).toMatchObject([{ packets: 60, confidence: 'certain' }]);
});

test('a difference of some milliseconds between the readings is no other socket', () => {
  const sockets = { 53: { looks: bursty } };
  expect(judge({ last: { 'Udp.RcvbufErrors': 102 }, sockets })).toMatchObject([{ packets: 102 }]);
  expect(judge({ last: { 'Udp.RcvbufErrors': 103 }, sockets })).toMatchObject([
    { packets: 100 },
    { packets: 3, scope: {} },
  ]);
});

test('a socket closed in the window is named as far as it was seen; the rest has no name', () => {
  const closed = { 53: { looks: [[10, 0], [60, 0], undefined] as const } };
  expect(judge({ last: { 'Udp.RcvbufErrors': 50 }, sockets: closed })).toMatchObject([
    { packets: 50, scope: { socket: 'udp 0.0.0.0:53' }, fixes: [] },
  ]);
  expect(judge({ last: { 'Udp.RcvbufErrors': 90 }, sockets: closed })).toMatchObject([
    { packets: 90, scope: {}, fixes: [] },
  ]);
  expect(judge({ last: { 'Udp.RcvbufErrors': 90 } })).toMatchObject([
    { packets: 90, scope: {}, fixes: [] },
  ]);
});

test('a socket opened in the window: all its losses, but no more than were counted', () => {
  const opened = { 53: { looks: [undefined, [40, 0], [100, 0]] as const } };
  expect(judge({ last: lost100, sockets: opened })).toMatchObject([
    { packets: 100, scope: { socket: 'udp 0.0.0.0:53' } },
  ]);
  // The kernel's list skipped an old socket in the first reading: its history is not this window's.
  const skipped = { 53: { looks: [undefined, [9000, 0], [9060, 0]] as const } };
  expect(judge({ last: lost100, sockets: skipped })).toMatchObject([{ packets: 100 }]);
});

test('rules out udp_mem only if the capture saw none of it', () => {
  const protoMem = {
    reason: 'PROTO_MEM',
    location: '__udp_enqueue_schedule_skb',
    protocol: 0x0800,
    packets: 1,
    edgePackets: 0,
  };
  const ids = (drops?: readonly DropCount[]) =>
    one({ looks: bursty }, drops === undefined ? {} : { drops }).rulesOut.map(({ id }) => id);
  expect(ids([])).toContain('udp-mem-exhausted');
  expect(ids([protoMem])).not.toContain('udp-mem-exhausted');
  expect(ids()).not.toContain('udp-mem-exhausted');
});

test('bad checksums in the same window are not ruled out', () => {
  const last = { ...lost100, 'Udp.InCsumErrors': 3 };
  const ids = one({ looks: bursty }, { last }).rulesOut.map(({ id }) => id);
  expect(ids).not.toContain('udp-csum-error');
});

test('never more or fewer packets than RcvbufErrors counted', () => {
  const look = fc.option(fc.tuple(fc.nat(1000), fc.nat(DEFAULT)), { nil: undefined });
  const history = fc
    .array(look, { minLength: 4, maxLength: 4 })
    .map((all) => ({ looks: all as readonly Look[] }));
  fc.assert(
    fc.property(
      fc.dictionary(fc.integer({ min: 1, max: 50 }).map(String), history, { maxKeys: 15 }),
      fc.integer({ min: 1, max: 5000 }),
      (sockets, risen) => {
        const findings = judge({ last: { 'Udp.RcvbufErrors': risen }, sockets });
        expect(findings.reduce((sum, { packets }) => sum + packets, 0)).toBe(risen);
        for (const { packets } of findings) expect(packets).toBeGreaterThan(0);
      },
    ),
  );
});

/** Two sockets that lost as much by their own counters, only one of them to a full buffer. */
const alike = { 53: { looks: bursty }, 54: { looks: bursty } } as const;

test('the kernel names the socket that was full: certain, and the other one is left alone', () => {
  expect(judge({ last: lost100, sockets: alike }).map(({ confidence }) => confidence)).toEqual([
    'likely',
    'likely',
  ]);
  const findings = judge({ last: lost100, sockets: alike, told: [{ socket: 54 }] });
  expect(findings).toMatchObject([
    { confidence: 'certain', packets: 100, scope: { socket: 'udp 0.0.0.0:54' } },
  ]);
  expect(findings[0]?.because).toContainEqual({
    source: 'udp:udp_fail_queue_rcv_skb',
    text: `this socket refused 100 datagrams, with up to ${DEFAULT} of its ${DEFAULT} bytes in use`,
  });
});

test('what the capture saw beyond the counters is not counted', () => {
  const told = [
    { socket: 53, packets: 70 },
    { socket: 54, packets: 33 },
  ];
  const findings = judge({ last: lost100, sockets: alike, told });
  // 103 were seen: 70 and 33 parts of 100, and what is lost to rounding.
  expect(findings.map(({ packets }) => packets)).toEqual([68, 32]);
});

test('size and owner come from the capture when ss is missing', () => {
  const finding = one(
    { looks: bursty, undetailed: true },
    { told: [{ rcvbufBytes: 8192 }], owners: new Map([[53, { pid: 9, name: 'syslogd' }]]) },
  );
  expect(finding.scope.process).toEqual({ pid: 9, name: 'syslogd' });
  expect(advice(finding).ids).toEqual(['set-so-rcvbuf']);
});

test('a socket that no reading found is named all the same', () => {
  const told = [{ socket: 99, local: '[::]:514', protocol: 'udp6' }];
  expect(judge({ last: lost100, told })).toMatchObject([
    { packets: 100, scope: { socket: 'udp [::]:514' } },
  ]);
});

test('a socket of the kernel itself is known by its address', () => {
  const kernel = { looks: bursty, inode: 0, local: '0.0.0.0:4789', undetailed: true } as const;
  const told = [{ socket: null, local: '0.0.0.0:4789' }];
  expect(one(kernel, { told })).toMatchObject({
    packets: 100,
    scope: { socket: 'udp 0.0.0.0:4789' },
  });
});

test.each([
  ['other sockets than UDP', [{ protocol: 'raw' }]],
  ['another limit', [{ limit: 'memory' as const }]],
  ['not all that was counted', [{ packets: 97 }]],
])('the counters decide when the kernel told of %s', (_, told) => {
  const findings = judge({ last: lost100, sockets: alike, told });
  expect(findings.map(({ confidence }) => confidence)).toEqual(['likely', 'likely']);
});

test('several sockets: each has the flows that went to it, by its inode or else its port', () => {
  const flow = (port: number, packets: number, socket?: number) => ({
    source: '10.0.0.9',
    destination: '10.0.0.2',
    ports: { source: 4000, destination: port },
    packets,
    ...(socket !== undefined && { socket }),
  });
  const kind = (protocol: number, ...topFlows: DropFlow[]): DropCount => ({
    reason: 'SOCKET_RCVBUFF',
    location: 'udp_queue_rcv_one_skb',
    protocol,
    packets: 100,
    edgePackets: 0,
    details: details({ topFlows }),
  });
  const lost = { looks: [[0, 0] as const, [100, 0] as const] };
  const findings = judge({
    last: { 'Udp.RcvbufErrors': 200, 'Udp6.RcvbufErrors': 100 },
    sockets: { 53: lost, 514: lost, 123: { ...lost, inode: 9 } },
    drops: [
      kind(0x0800, flow(53, 50, 53), flow(514, 30)),
      // Two share the port.
      kind(0x86dd, flow(123, 60, 9), flow(123, 40, 8)),
    ],
  });
  expect(
    Object.fromEntries(
      findings.map(({ scope, flows = [], claims }) => [
        scope.socket,
        [flows.map(({ packets }) => packets), claims[0]?.protocol],
      ]),
    ),
  ).toEqual({
    'udp 0.0.0.0:53': [[50], [0x0800]],
    'udp 0.0.0.0:514': [[30], [0x0800]],
    'udp 0.0.0.0:123': [[60], [0x86dd]],
  });
});
