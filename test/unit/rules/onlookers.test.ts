import { expect, test } from 'vitest';
import type { Captures } from '../../../checks/captures.ts';
import type { Netlink } from '../../../checks/netlink.ts';
import type { PortUse } from '../../../checks/port-use.ts';
import netlinkOverrun from '../../../rules/socket/netlink-overrun.ts';
import full from '../../../rules/socket/raw-or-packet-socket-full.ts';
import ports from '../../../rules/tcp/port-exhaustion.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import { causesOf, sampled, settings, window } from './evidence.ts';

const process = { pid: 77, name: 'tcpdump' };

function judgeCopies(captured: number, raw: number) {
  const captures = (drops: number): Captures => ({
    sockets: new Map([[5, { drops: BigInt(drops), process }]]),
  });
  const socket = { protocol: 'raw', local: '0.0.0.0:89', peer: null, inode: 9, uid: 0 } as const;
  const sockets = (drops: number) => ({
    udp: new Map(),
    raw: new Map([['9', { key: '9', ...socket, drops: BigInt(drops), queueBytes: 0 }]]),
  });
  return causesOf(
    full.judge(
      {
        captures: sampled(captures(1000), captures(1000 + captured)),
        sockets: sampled(sockets(500), sockets(500 + raw)),
        drops: undefined,
      },
      window,
    ),
  );
}

test('a capture that misses packets is told, and names its program; the packets went on', () => {
  const [cause] = judgeCopies(10, 0);
  expect(cause).toMatchObject({
    packets: 0,
    confidence: 'certain',
    scope: { process },
    because: [{ first: '1000', last: '1010' }],
  });
  expect(cause && severityOf(cause)).toBe('notice');
  expect(judgeCopies(9, 9)).toEqual([]);
});

test('a raw socket that misses packets', () => {
  expect(judgeCopies(0, 10)).toMatchObject([
    { packets: 0, scope: { socket: 'raw 0.0.0.0:89' }, because: [{ first: '500', last: '510' }] },
  ]);
});

test('copies: could not look', () => {
  const nothing = { captures: undefined, sockets: undefined, drops: undefined };
  expect(full.judge(nothing, window)).toMatchObject([{ kind: 'benign' }]);
});

function judgeNetlink(before: number | undefined, after: number) {
  const at = (drops: number | undefined): Netlink => ({
    sockets:
      drops === undefined
        ? new Map()
        : new Map([[7, { family: 0, portId: 8140, drops: BigInt(drops), program: 'bird' }]]),
  });
  return causesOf(netlinkOverrun.judge({ netlink: sampled(at(before), at(after)) }, window))[0];
}

test('messages that did not fit: certain, and no packets', () => {
  const cause = judgeNetlink(40, 41);
  expect(cause).toMatchObject({
    confidence: 'certain',
    packets: 0,
    scope: { process: { pid: 8140, name: 'bird' } },
    because: [{ first: '40', last: '41' }],
  });
  expect(cause && severityOf(cause)).toBe('notice');
  expect(judgeNetlink(41, 41)).toBeUndefined();
  // Since when it has them is not known.
  expect(judgeNetlink(undefined, 41)).toBeUndefined();
});

function judgePorts(used: number | undefined, of: Readonly<Record<string, string | number>> = {}) {
  const value: PortUse = {
    ports: 1000,
    ...(used !== undefined && { busiest: { from: '10.0.0.1', to: '10.0.0.2:80', used } }),
  };
  const range = { 'net.ipv4.ip_local_port_range': '40000 40999', 'net.ipv4.tcp_tw_reuse': 2 };
  const sysctl = settings({ ...range, ...of });
  return causesOf(ports.judge({ portUse: sampled(value, value), sysctl }, window))[0];
}

test('ports: a hint when nine in ten are in use for one peer', () => {
  expect(judgePorts(undefined)).toBeUndefined();
  expect(judgePorts(899)).toBeUndefined();
  const cause = judgePorts(900);
  expect(cause).toMatchObject({ packets: 0, confidence: 'likely', claims: [] });
  expect(cause?.fixes[0]?.steps).toMatchObject([
    { from: '40000 40999', to: '10240 65535' },
    { key: 'net.ipv4.tcp_tw_reuse', from: '2', to: '1' },
  ]);
});

test('ports: nothing to widen, nothing said of it', () => {
  const widest = { 'net.ipv4.ip_local_port_range': '1024 65535', 'net.ipv4.tcp_tw_reuse': 1 };
  expect(judgePorts(900, widest)?.fixes.map(({ id }) => id)).toEqual(['keep-connections']);
});
