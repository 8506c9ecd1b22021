import { expect, test } from 'vitest';
import auth from '../../../rules/tcp/tcp-auth-mismatch.ts';
import backlog from '../../../rules/tcp/tcp-backlog-drop.ts';
import paws from '../../../rules/tcp/tcp-paws.ts';
import zero from '../../../rules/tcp/tcp-zero-window.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import {
  capture,
  causesOf,
  foreign,
  settings,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';

interface Case {
  readonly counters?: Counters;
  readonly drops?: DropCapture;
  readonly recycle?: string;
}

function judgeBy(rule: typeof auth | typeof zero | typeof backlog, { counters = {}, drops }: Case) {
  return (where = window) =>
    causesOf(rule.judge({ snmp: snmpRise({ 'Tcp.InSegs': 1000, ...counters }), drops }, where))[0];
}

test.each([
  'TcpExt.TCPMD5NotFound',
  'TcpExt.TCPMD5Unexpected',
  'TcpExt.TCPMD5Failure',
  'TcpExt.TCPAORequired',
  'TcpExt.TCPAOKeyNotFound',
  'TcpExt.TCPAOBad',
  'TcpExt.TCPMinTTLDrop',
])('%s: certain', (name) => {
  expect(judgeBy(auth, { counters: { [name]: 3 } })()).toMatchObject({
    confidence: 'certain',
    packets: 3,
  });
});

test('authentication: what it is not, and how much of an alarm it is', () => {
  expect(judgeBy(auth, { counters: { 'TcpExt.TCPAOGood': 900 } })()).toBeUndefined();
  const severity = (packets: number) => {
    const cause = judgeBy(auth, { counters: { 'TcpExt.TCPMD5NotFound': packets } })();
    return cause && severityOf(cause);
  };
  expect([severity(49), severity(50)]).toEqual(['notice', 'warning']);
  expect(judgeBy(auth, { counters: { 'TcpExt.TCPMinTTLDrop': 3 } })()?.means).toContain('routers');
});

test('a malformed option has no counter: its events count, if they are of this namespace', () => {
  const drops = capture([{ reason: 'TCP_AUTH_HDR', location: 'tcp_v4_rcv', packets: 6 }]);
  expect(judgeBy(auth, { drops })()?.packets).toBe(6);
  expect(judgeBy(auth, { drops })(foreign)).toBeUndefined();
});

function judgePaws({ counters = {}, drops, recycle }: Case) {
  const snmp = snmpRise({ 'Tcp.InSegs': 10_000, ...counters });
  const sysctl =
    recycle === undefined ? undefined : settings({ 'net.ipv4.tcp_tw_recycle': recycle });
  return paws.judge({ snmp, drops, sysctl }, window);
}

test('old time stamps: harmless up to one in a hundred segments', () => {
  const at = (packets: number) => judgePaws({ counters: { 'TcpExt.PAWSEstab': packets } });
  expect(at(99)).toMatchObject([{ kind: 'benign' }]);
  expect(at(100)).toMatchObject([{ kind: 'cause', confidence: 'likely', packets: 100 }]);
  const few = { 'Tcp.InSegs': 50, 'TcpExt.PAWSEstab': 19 };
  expect(judgePaws({ counters: few })).toMatchObject([{ kind: 'benign' }]);
  expect(judgePaws({ counters: { ...few, 'TcpExt.PAWSEstab': 20 } })).toMatchObject([
    { kind: 'cause' },
  ]);
});

test('old kernels that compare all clients of one address have a cure', () => {
  const [cause] = causesOf(judgePaws({ counters: { 'TcpExt.PAWSPassive': 8 }, recycle: '1' }));
  expect(cause).toMatchObject({
    confidence: 'certain',
    fixes: [{ steps: [{ key: 'net.ipv4.tcp_tw_recycle', from: '1', to: '0' }] }],
  });
  const off = judgePaws({ counters: { 'TcpExt.PAWSPassive': 8 }, recycle: '0' });
  expect(causesOf(off)).toEqual([]);
});

test('look-alike: segments that come twice have no old time stamp', () => {
  const counters = { 'TcpExt.DelayedACKLost': 900, 'TcpExt.PAWSOldAck': 900 };
  expect(causesOf(judgePaws({ counters }))).toEqual([]);
});

test('a full backlog of a socket: certain; other full queues are not', () => {
  const judge = (counters: Counters) => judgeBy(backlog, { counters })();
  expect(judge({ 'TcpExt.TCPBacklogDrop': 1 })).toMatchObject({
    confidence: 'certain',
    packets: 1,
  });
  expect(judge({ 'TcpExt.TCPBacklogCoalesce': 900, 'TcpExt.RcvPruned': 9 })).toBeUndefined();
});

test.each<[string, Counters, number | undefined]>([
  [
    'windows that open again',
    { 'TcpExt.TCPToZeroWindowAdv': 90, 'TcpExt.TCPFromZeroWindowAdv': 88 },
    undefined,
  ],
  ['three that do not', { 'TcpExt.TCPToZeroWindowAdv': 90, 'TcpExt.TCPFromZeroWindowAdv': 87 }, 0],
  ['data for a closed window', { 'TcpExt.TCPToZeroWindowAdv': 1, 'TcpExt.BeyondWindow': 20 }, 20],
  ['a little of it', { 'TcpExt.TCPToZeroWindowAdv': 1, 'TcpExt.BeyondWindow': 19 }, undefined],
  ['data beyond an open window', { 'TcpExt.BeyondWindow': 900 }, undefined],
  ['data for a window closed before', { 'TcpExt.TCPZeroWindowDrop': 20 }, 20],
])('zero windows: %s', (_, counters, packets) => {
  const cause = judgeBy(zero, { counters })();
  expect(cause?.packets).toBe(packets);
  expect(cause?.severityAtMost ?? 'notice').toBe('notice');
});

test('zero windows: no more than the capture saw', () => {
  const counters = { 'TcpExt.TCPToZeroWindowAdv': 1, 'TcpExt.BeyondWindow': 50 };
  const drops = capture([{ reason: 'TCP_INVALID_END_SEQUENCE', packets: 30 }]);
  expect(judgeBy(zero, { counters, drops })()?.packets).toBe(30);
});
