import { expect, test } from 'vitest';
import type { Sockstat } from '../../../checks/sockstat.ts';
import pressure from '../../../rules/tcp/tcp-mem-pressure.ts';
import orphans from '../../../rules/tcp/tcp-orphans-tw.ts';
import prune from '../../../rules/tcp/tcp-rcvbuf-prune.ts';
import udp from '../../../rules/udp/udp-mem-exhausted.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { Sampled } from '../../../src/model/check.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import type { CauseFinding } from '../../../src/model/rule.ts';
import {
  capture,
  causesOf,
  foreign,
  sampled,
  settings,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';

/** 4 GB. */
const ram = { pages: 1_000_000, pageBytes: 4096 };
const levels = (level: Sockstat): Sampled<Sockstat> => sampled(level, { ...level, ram });

const stepsOf = (cause: CauseFinding | undefined) =>
  cause?.fixes.flatMap(({ steps }) =>
    steps.map((step) => (step.kind === 'sysctl' ? `${step.from} → ${step.to}` : step.kind)),
  );

interface Tcp {
  readonly counters?: Counters;
  readonly pages?: number;
  readonly limits?: string;
  readonly drops?: DropCapture;
}

function evidenceOf({ counters = {}, pages = 10, limits = '100 200 300', drops }: Tcp) {
  return {
    snmp: snmpRise(counters),
    sockstat: levels({ tcpPages: pages }),
    sysctl: settings({ 'net.ipv4.tcp_mem': limits }),
    drops,
    kernelLog: undefined,
  };
}
const judgePrune = (tcp: Tcp, where = window) => causesOf(prune.judge(evidenceOf(tcp), where))[0];
const judgePressure = (tcp: Tcp) => causesOf(pressure.judge(evidenceOf(tcp), window))[0];

test('a full receive buffer: certain, as long as TCP as a whole has memory', () => {
  const counters = { 'TcpExt.TCPRcvQDrop': 30, 'TcpExt.TCPOFODrop': 20, 'TcpExt.RcvPruned': 50 };
  expect(judgePrune({ counters })).toMatchObject({ confidence: 'certain', packets: 50 });
  expect(judgePrune({ counters, pages: 201 })).toMatchObject({ confidence: 'likely' });
  const short = { ...counters, 'TcpExt.TCPMemoryPressures': 1 };
  expect(judgePrune({ counters: short })).toMatchObject({ confidence: 'likely' });
  expect(judgePrune({ counters: { 'TcpExt.PruneCalled': 9, 'TcpExt.TCPRcvCollapsed': 9 } })).toBe(
    undefined,
  );
});

test('old kernels count only that nothing could be cleared away', () => {
  expect(judgePrune({ counters: { 'TcpExt.RcvPruned': 7 } })?.packets).toBe(7);
});

test('segments thrown out of order count by their events, where those are of this namespace', () => {
  const drops = capture([{ reason: 'TCP_OFO_QUEUE_PRUNE', packets: 40 }]);
  const counters = { 'TcpExt.OfoPruned': 2 };
  expect(judgePrune({ counters, drops })?.packets).toBe(40);
  expect(judgePrune({ counters, drops }, foreign)?.packets).toBe(2);
  expect(judgePrune({ drops })).toBeUndefined();
});

test('the levels could not be read: likely, and not called anything it is not', () => {
  const snmp = snmpRise({ 'TcpExt.RcvPruned': 7 });
  const nothing = {
    sockstat: undefined,
    sysctl: undefined,
    drops: undefined,
    kernelLog: undefined,
  };
  const [cause] = causesOf(prune.judge({ snmp, ...nothing }, window));
  expect(cause?.confidence).toBe('likely');
  expect(cause?.rulesOut.map(({ id }) => id)).not.toContain('tcp-mem-pressure');
  expect(pressure.judge({ snmp, ...nothing }, window)).toEqual([]);
});

test('TCP as a whole: pressure begins above the second limit', () => {
  expect(judgePressure({ pages: 200 })).toBeUndefined();
  expect(judgePressure({ pages: 201 })).toMatchObject({ confidence: 'likely', packets: 0 });
  const counters = { 'TcpExt.TCPMemoryPressures': 1 };
  expect(judgePressure({ pages: 201, counters })).toMatchObject({ confidence: 'certain' });
  // A control group with a limit of its own.
  expect(judgePressure({ pages: 10, counters })).toMatchObject({ confidence: 'likely' });
});

test('the limit goes back to what the kernel would set, never further', () => {
  expect(stepsOf(judgePressure({ pages: 201 }))).toEqual([
    '100 200 300 → 46875 62500 93750',
    'command',
  ]);
  const limits = '40000 50000 46876';
  expect(stepsOf(judgePressure({ pages: 50_001, limits }))).toEqual(['command']);
});

interface Udp {
  readonly packets?: number;
  readonly counters?: Counters;
  readonly pages?: number;
  readonly lost?: number;
}

function judgeUdp({ packets = 80, counters = {}, pages = 290, lost = 80 }: Udp, where = window) {
  const socket = (drops: number) => ({
    udp: new Map([
      [
        '7',
        {
          key: '7',
          protocol: 'udp' as const,
          local: '0.0.0.0:514',
          peer: null,
          inode: 7,
          uid: 0,
          drops: BigInt(drops),
          queueBytes: 900,
        },
      ],
    ]),
    raw: new Map(),
  });
  const evidence = {
    snmp: snmpRise(counters),
    sockets: sampled(socket(1000), socket(1000 + lost)),
    sockstat: levels({ udpPages: pages }),
    sysctl: settings({ 'net.ipv4.udp_mem': '100 200 300' }),
    drops: capture([
      { reason: 'PROTO_MEM', location: '__udp_enqueue_schedule_skb', packets },
      { reason: 'PROTO_MEM', location: 'tcp_data_queue', packets: 500 },
    ]),
  };
  return causesOf(udp.judge(evidence, where))[0];
}

test('UDP as a whole is out of memory: certain when it was nearly used up', () => {
  const cause = judgeUdp({});
  expect(cause).toMatchObject({ confidence: 'certain', packets: 80 });
  expect(cause?.because.at(-1)?.text).toContain('900 bytes unread');
  expect(stepsOf(cause)).toEqual(['100 200 300 → 93750 125000 187500', 'command']);
  expect(judgeUdp({ pages: 270 })?.confidence).toBe('certain');
  expect(judgeUdp({ pages: 269 })?.confidence).toBe('likely');
  expect(judgeUdp({ packets: 0 })).toBeUndefined();
});

test('of the whole machine only as many as sockets here lost, beside other losses', () => {
  const counters = { 'Udp.RcvbufErrors': 60 };
  expect(judgeUdp({ counters }, foreign)?.packets).toBe(20);
  expect(judgeUdp({ lost: 0 }, foreign)).toBeUndefined();
  // Where the kernel counts it, that is it.
  expect(judgeUdp({ packets: 0, counters: { 'Udp.MemErrors': 9 } }, foreign)?.packets).toBe(9);
});

test('UDP: nothing else could be read', () => {
  const nothing = {
    sockets: undefined,
    sockstat: undefined,
    sysctl: undefined,
    drops: undefined,
    kernelLog: undefined,
  };
  const snmp = snmpRise({ 'Udp.MemErrors': 9 });
  expect(causesOf(udp.judge({ snmp, ...nothing }, window))[0]).toMatchObject({
    confidence: 'likely',
    packets: 9,
    fixes: [{ id: 'find-the-holders' }],
  });
});

function judgeOrphans(counters: Counters, level: Sockstat, limit = true) {
  const evidence = {
    snmp: snmpRise(counters),
    sockstat: levels(level),
    sysctl: limit ? settings({ 'net.ipv4.tcp_max_orphans': 1000 }) : undefined,
    kernelLog: undefined,
  };
  return causesOf(orphans.judge(evidence, window));
}

test('orphans: a notice above a quarter of their limit', () => {
  expect(judgeOrphans({}, { tcpOrphans: 250 })).toEqual([]);
  const [cause] = judgeOrphans({}, { tcpOrphans: 251 });
  expect(cause).toMatchObject({ confidence: 'possible', packets: 0 });
  expect(cause && severityOf(cause)).toBe('notice');
  expect(judgeOrphans({ 'TcpExt.TCPAbortOnMemory': 3 }, { tcpOrphans: 251 })).toMatchObject([
    { confidence: 'likely' },
  ]);
  expect(judgeOrphans({}, { tcpOrphans: 251 }, false)).toEqual([]);
});

test('TIME_WAIT by the thousand is normal; what finds no room in it is told', () => {
  expect(judgeOrphans({}, { tcpTimeWait: 50_000 })).toEqual([]);
  expect(judgeOrphans({ 'TcpExt.TCPTimeWaitOverflow': 4 }, {})).toEqual([]);
  expect(judgeOrphans({ 'TcpExt.TCPTimeWaitOverflow': 5 }, {})).toMatchObject([
    { confidence: 'certain', packets: 0 },
  ]);
});
