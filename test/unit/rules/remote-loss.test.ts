import { expect, test } from 'vitest';
import type { Links } from '../../../checks/link.ts';
import rule from '../../../rules/tcp/remote-loss.ts';
import type { Companions, PeerEvents } from '../../../src/model/companions.ts';
import type { Sampled } from '../../../src/model/check.ts';
import type { DropCapture, DropDetails, DropFlow } from '../../../src/model/drops.ts';
import type { CauseFinding, JudgeWindow } from '../../../src/model/rule.ts';
import { capture, foreign, linkRise, snmpRise, window, type Counters } from './evidence.ts';

interface Case {
  readonly counters?: Counters;
  readonly drops?: DropCapture | undefined;
  readonly link?: Sampled<Links>;
  readonly window?: JudgeWindow;
}

function judge({ counters = {}, link = linkRise({}), ...rest }: Case): readonly CauseFinding[] {
  const drops = 'drops' in rest ? rest.drops : told([peer('10.0.0.2', 100)]);
  const snmp = snmpRise({
    'Tcp.OutSegs': 1000,
    'Tcp.RetransSegs': 100,
    'TcpExt.TCPSynRetrans': 0,
    'TcpExt.TCPDSACKRecv': 0,
    ...counters,
  });
  return rule
    .judge({ snmp, link, drops }, rest.window ?? window)
    .filter((finding) => finding.kind === 'cause');
}

function peer(remote: string, packets: number, more: Partial<PeerEvents> = {}): PeerEvents {
  return {
    netns: 1,
    local: '10.0.0.1',
    localPort: null,
    remote,
    remotePort: 443,
    packets,
    handshakePackets: 0,
    ...more,
  };
}

/** What the BPF capture saw. */
function told(rows: readonly PeerEvents[], more: Partial<DropCapture> = {}, rest = 0): DropCapture {
  const companions: Companions = {
    fullSockets: null,
    retransmits: { rows, rest: rest === 0 ? [] : [{ netns: 1, packets: rest }] },
    synAckRetransmits: null,
    resetsSent: null,
    resetsReceived: null,
    badChecksums: null,
    missed: 0,
  };
  return { ...capture([]), backend: 'bpf', companions, ...more };
}

/** Drops of TCP segments, all of one flow unless told otherwise. */
function tcpDrops(
  packets: number,
  flow: Partial<DropFlow> = {},
  details: Partial<DropDetails> = {},
): Partial<DropCapture> {
  const topFlows = [{ source: '10.0.0.1', destination: '10.0.0.2', packets, ...flow }];
  return {
    drops: capture([
      {
        reason: 'NETFILTER_DROP',
        location: 'nft_do_chain',
        packets,
        details: {
          netns: 1,
          ifindex: 2,
          interface: 'eth0',
          ipProtocol: 6,
          topFlows,
          flowCount: 1,
          flowsApproximate: false,
          samples: [],
          stack: [],
          ...details,
        },
      },
    ]).drops,
  };
}

test('names the peer, as nothing here dropped its segments', () => {
  const [finding, ...others] = judge({});
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    confidence: 'likely',
    packets: 0,
    severityAtMost: 'notice',
    scope: { flow: 'to 10.0.0.2:443' },
    claims: [],
    fixes: [
      {
        risk: 'none',
        steps: [{ argv: ['mtr', '--tcp', '--port', '443', '10.0.0.2'] }, { kind: 'manual' }],
      },
    ],
  });
  expect(finding?.because).toEqual([
    {
      source: '/proc/net/snmp Tcp RetransSegs',
      text: '100 segments were sent again, beside 1000 sent for the first time (10 %)',
      first: '1000',
      last: '1100',
    },
    { source: 'tcp:tcp_retransmit_skb', text: '100 sent again to 10.0.0.2:443' },
  ]);
});

test.each<[string, Counters, boolean]>([
  ['30 segments, 2 %', { 'Tcp.RetransSegs': 30, 'Tcp.OutSegs': 1500 }, true],
  ['29 segments', { 'Tcp.RetransSegs': 29, 'Tcp.OutSegs': 100 }, false],
  ['less than 2 %', { 'Tcp.RetransSegs': 30, 'Tcp.OutSegs': 1501 }, false],
  ['they had arrived, as peers say', { 'TcpExt.TCPDSACKRecv': 71 }, false],
  ['some of them had arrived', { 'TcpExt.TCPDSACKRecv': 70 }, true],
  ['nothing moved', { 'Tcp.RetransSegs': 0 }, false],
])('fires from a floor on: %s', (_, counters, fires) => {
  expect(judge({ counters })).toHaveLength(fires ? 1 : 0);
});

test.each<[string, Partial<DropCapture>, boolean]>([
  ['to that peer', tcpDrops(11), false],
  ['from that peer', tcpDrops(11, { source: '10.0.0.2', destination: '10.0.0.1' }), false],
  ['too few to explain it', tcpDrops(10), true],
  ['of another peer', tcpDrops(500, { destination: '10.0.0.9' }), true],
  ['of flows that are not known', tcpDrops(500, { destination: '10.0.0.9', packets: 400 }), false],
  ['of UDP', tcpDrops(500, {}, { ipProtocol: 17 }), true],
  ['of segments that came twice', { drops: repeated('TCP_OLD_DATA') }, true],
  ['of what a closed connection leaves', { drops: repeated('NOT_SPECIFIED', 'tcp_v4_rcv') }, true],
  ['without a reason, on the way out', { drops: repeated('NOT_SPECIFIED', 'veth_xmit') }, false],
])('drops on this host, %s', (_, drops, fires) => {
  expect(judge({ drops: told([peer('10.0.0.2', 100)], drops) })).toHaveLength(fires ? 1 : 0);
});

function repeated(reason: string, location = 'tcp_data_queue'): DropCapture['drops'] {
  return capture([{ reason, location, packets: 500 }]).drops;
}

test('of several peers, those whose segments died here are left out', () => {
  const rows = [peer('10.0.0.2', 60), peer('10.0.0.3', 40)];
  const [finding] = judge({ drops: told(rows, tcpDrops(50)) });
  expect(finding?.scope).toEqual({ flow: 'to 10.0.0.3:443' });
  expect(finding?.because[0]?.text).toMatch(/^40 segments/);
});

test('no peer has most of it: look at what they share', () => {
  const rows = [1, 2, 3, 4].map((last) => peer(`10.0.1.${last}`, 25));
  const [finding] = judge({ drops: told(rows) });
  expect(finding?.scope).toEqual({});
  expect(finding?.means).toContain('4 peers');
  expect(finding?.because).toHaveLength(4);
});

test('requests that nobody answers are called so', () => {
  const rows = [peer('10.0.0.2', 100, { handshakePackets: 90 })];
  const [finding] = judge({
    counters: { 'TcpExt.TCPSynRetrans': 90 },
    drops: told(rows),
  });
  expect(finding?.means).toMatch(/^Connection requests to 10\.0\.0\.2 get no answer/);
  expect(finding?.because[1]?.text).toContain('90 of them to open a connection');
});

test('answers to a flood of requests are no loss', () => {
  const counters = { 'Tcp.RetransSegs': 5000, 'TcpExt.TCPSynRetrans': 5000 };
  expect(judge({ counters, drops: told([]) })).toEqual([]);
  expect(judge({ counters, drops: capture([]) })).toEqual([]);
});

test('connections of this host to itself are not elsewhere', () => {
  const rows = [
    peer('127.0.0.1', 50, { local: '127.0.0.1' }),
    peer('10.0.0.1', 50, { local: '10.0.0.1' }),
  ];
  expect(judge({ drops: told(rows) })).toEqual([]);
});

test.each([
  ['received', 'rxMissed'],
  ['damaged', 'rxErrors'],
  ['to be sent', 'txErrors'],
] as const)('frames %s and lost by an interface come first', (_, key) => {
  const link = (last: bigint): Sampled<Links> => {
    const { first, last: after } = linkRise({ eth0: { [key]: last } });
    const eth0 = after.interfaces.get('eth0');
    if (eth0 === undefined) throw new Error('no eth0');
    const before = { interfaces: new Map([['eth0', { ...eth0, [key]: 0n }]]) };
    return { first: before, last: after, samples: [first, after] };
  };
  expect(judge({ link: link(11n) })).toEqual([]);
  expect(judge({ link: link(10n) })).toHaveLength(1);
});

test.each<[string, DropCapture | undefined, number, string | undefined]>([
  ['tracefs', capture([]), 0, 'likely'],
  [
    'tracefs, with drops of any kind',
    capture([{ reason: 'QDISC_DROP', packets: 11 }]),
    0,
    undefined,
  ],
  ['tracefs, requests alone', capture([]), 71, undefined],
  ['no capture at all', undefined, 0, 'possible'],
  ['more peers than there was place for', told([peer('10.0.0.2', 1)], {}, 99), 0, 'likely'],
])('without peers the counters must do: %s', (_, drops, requests, confidence) => {
  const counters = { 'TcpExt.TCPSynRetrans': requests };
  const findings = judge({ counters, drops });
  expect(findings.map((finding) => finding.confidence)).toEqual(
    confidence === undefined ? [] : [confidence],
  );
  expect(findings.flatMap(({ scope }) => Object.keys(scope))).toEqual([]);
});

test('in a namespace of its own, elsewhere may be on this machine', () => {
  expect(judge({ window: foreign })[0]?.means).toContain('another network namespace');
  expect(judge({})[0]?.means).not.toContain('namespace');
});

test.each<[Partial<PeerEvents>, string]>([
  [{ localPort: 40_000, remotePort: 22 }, 'to 10.0.0.2:22'],
  [{ localPort: 22, remotePort: 40_000 }, 'to 10.0.0.2 (port 22 here)'],
  [{ localPort: 22, remotePort: null }, 'to 10.0.0.2 (port 22 here)'],
  [{ remotePort: null }, 'to 10.0.0.2'],
  [{ remote: '2001:db8::2' }, 'to [2001:db8::2]:443'],
])('a peer is named by the port of the service: %j', (ends, name) => {
  const [finding] = judge({ drops: told([peer('10.0.0.2', 100, ends)]) });
  expect(finding?.scope.flow).toBe(name);
});
