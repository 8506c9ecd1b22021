import { expect, test } from 'vitest';
import type { Listener } from '../../../checks/listeners.ts';
import tcp from '../../../rules/tcp/no-socket-tcp.ts';
import udp from '../../../rules/udp/no-socket-udp.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { PeerEvents } from '../../../src/model/companions.ts';
import type { DropCapture, DropFlow } from '../../../src/model/drops.ts';
import { capture, causesOf, details, sampled, settings, snmpRise, window } from './evidence.ts';

const sysctl = settings({ 'net.ipv4.ip_local_port_range': '32768 60999' });

function flow(port: number, packets: number, source = '10.0.0.9'): DropFlow {
  return { source, destination: '10.0.0.1', ports: { source: 999, destination: port }, packets };
}

/** As the BPF capture tells, and the kernel's own tally of resets where there is one. */
function bpf(location: string, flows: readonly DropFlow[], resets?: readonly PeerEvents[]) {
  const packets = flows.reduce((sum, flow) => sum + flow.packets, 0);
  const seen = capture([
    { reason: 'NO_SOCKET', location, packets, details: details({ topFlows: flows }) },
  ]);
  const nothing = { fullSockets: null, retransmits: null, synAckRetransmits: null };
  return {
    ...seen,
    backend: 'bpf',
    companions: {
      ...nothing,
      resetsReceived: null,
      badChecksums: null,
      resetsSent: resets === undefined ? null : { rows: resets, rest: [] },
      missed: 0,
    },
  } as const satisfies DropCapture;
}

function reset(localPort: number, packets: number): PeerEvents {
  const ends = { local: '10.0.0.1', remote: '10.0.0.9', remotePort: null, netns: null };
  return { ...ends, localPort, packets, handshakePackets: 0 };
}

function judgeTcp(
  drops: DropCapture | undefined,
  listening: readonly string[] = [],
  where = window,
) {
  const sockets = listening.map((local, inode): Listener => {
    const port = Number(local.slice(local.lastIndexOf(':') + 1));
    return { local, port, queued: 0, backlog: 1, inode };
  });
  const listeners = sampled({ counters: new Map() }, { counters: new Map(), sockets });
  const snmp = snmpRise({ 'Tcp.InSegs': 1000, 'Tcp.OutRsts': 100 });
  return tcp.judge({ drops, listeners, snmp, sysctl }, where);
}
const causeOf = (...args: Parameters<typeof judgeTcp>) => causesOf(judgeTcp(...args))[0];

test('one port that is asked for again and again: a notice that names it', () => {
  const cause = causeOf(bpf('tcp_v4_rcv', [flow(8080, 10)]));
  expect(cause).toMatchObject({
    packets: 10,
    confidence: 'possible',
    scope: { flow: 'TCP from 10.0.0.9 to port 8080' },
  });
  expect(cause && severityOf(cause)).toBe('notice');
  expect(causeOf(bpf('tcp_v4_rcv', [flow(8080, 9)]))).toBeUndefined();
  // Twice a second: ten in five seconds.
  expect(causeOf(bpf('tcp_v4_rcv', [flow(8080, 19)]), [], { ...window, seconds: 10 })).toBe(
    undefined,
  );
});

test('a scan goes from port to port, and late segments come to ports of clients', () => {
  const scan = Array.from({ length: 200 }, (_, index) => flow(1000 + index, 1));
  expect(causeOf(bpf('tcp_v4_rcv', scan))).toBeUndefined();
  expect(causeOf(bpf('tcp_v4_rcv', [flow(40_000, 200)]))).toBeUndefined();
});

test('resets count all connections to a port, flows only the busiest', () => {
  const flows = Array.from({ length: 60 }, () => flow(8080, 1));
  const cause = causeOf(bpf('tcp_v4_rcv', flows, [reset(22, 3), reset(8080, 50), reset(8080, 30)]));
  // No more than were dropped: resets go out for other reasons as well.
  expect(cause?.packets).toBe(60);
  expect(cause?.scope.flow).toContain('8080');
});

test.each<[string, readonly string[], string | undefined]>([
  ['at another address', ['127.0.0.1:8080'], 'listen-there'],
  ['at IPv6 alone', ['[::]:8080'], 'listen-there'],
  ['at another port', ['127.0.0.1:8081'], 'start-service'],
  ['nowhere', [], 'start-service'],
  ['everywhere by now', ['0.0.0.0:8080'], undefined],
  ['at both families by now', ['*:8080'], undefined],
  ['at that address by now', ['10.0.0.1:8080', '127.0.0.1:8080'], undefined],
])('a service that listens %s', (_, listening, fix) => {
  expect(causeOf(bpf('tcp_v4_rcv', [flow(8080, 50)]), listening)?.fixes[0]?.id).toBe(fix);
});

test('where the capture knows no ports nothing is told: it may be a scan', () => {
  const drops = capture([{ reason: 'NO_SOCKET', location: 'tcp_v4_rcv', packets: 5000 }]);
  expect(judgeTcp(drops)).toMatchObject([{ kind: 'benign' }]);
});

test('look-alike: a full accept queue under SYN cookies has another function', () => {
  expect(causeOf(bpf('cookie_v4_check', [flow(80, 500)]))).toBeUndefined();
});

test('nothing could be read: what was captured is harmless', () => {
  const nothing = { drops: undefined, listeners: undefined, snmp: undefined, sysctl: undefined };
  expect(tcp.judge(nothing, window)).toMatchObject([{ kind: 'benign' }]);
});

function judgeUdp(
  drops: DropCapture | undefined,
  local = '127.0.0.1:514',
  peer: string | null = null,
) {
  const socket = { key: '7', protocol: 'udp', local, peer, inode: 7, uid: 0 } as const;
  const value = { udp: new Map([['7', { ...socket, drops: 0n, queueBytes: 0 }]]), raw: new Map() };
  const snmp = snmpRise({ 'Udp.NoPorts': 60, 'Udp.InDatagrams': 30 });
  return causesOf(udp.judge({ drops, snmp, sockets: sampled(value, value), sysctl }, window))[0];
}

test('UDP: by flows; late answers to clients are not told', () => {
  const asked = bpf('__udp4_lib_rcv', [flow(514, 60)]);
  expect(judgeUdp(asked)).toMatchObject({
    packets: 60,
    confidence: 'likely',
    fixes: [{ id: 'listen-there' }],
  });
  // A client's own socket is no service.
  expect(judgeUdp(asked, '127.0.0.1:514', '10.0.0.9:53')?.fixes[0]?.id).toBe('start-service');
  // /proc/net/udp6 does not tell whether it takes IPv4 as well.
  expect(judgeUdp(asked, '[::]:514')).toBeUndefined();
  expect(judgeUdp(bpf('__udp4_lib_rcv', [flow(45_000, 60)]))).toBeUndefined();
  expect(judgeUdp(undefined)).toBeUndefined();
});
