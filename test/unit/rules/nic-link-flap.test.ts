import { expect, test } from 'vitest';
import type { Link } from '../../../checks/link.ts';
import rule from '../../../rules/nic/nic-link-flap.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import { causesOf, detailsOf, dropped, linkOf, sampled, window } from './evidence.ts';

function judge(first: Partial<Link>, last: Partial<Link>, drops?: DropCapture) {
  const links = (link: Partial<Link>) => ({
    interfaces: new Map([['eth0', linkOf({ carrierChanges: 5n, txDropped: 7n, ...link })]]),
  });
  const evidence = {
    link: sampled(links(first), links(last)),
    drops,
    qdisc: undefined,
    kernelLog: undefined,
  };
  return causesOf(rule.judge(evidence, window));
}

test('down and up again, with packets lost meanwhile', () => {
  const [cause] = judge({}, { carrierChanges: 7n, txDropped: 107n, txPackets: 900n });
  expect(cause).toMatchObject({
    confidence: 'certain',
    packets: 100,
    traffic: { packets: 1000 },
    scope: { interface: 'eth0' },
    claims: [{ reason: ['QDISC_DROP', 'DEV_READY'], interface: 'eth0', packets: 100 }, {}],
  });
});

test('Linux 6.1 does not count them: the drops tell', () => {
  const drops = dropped(
    'QDISC_DROP',
    'kfree_skb_list_reason',
    90,
    detailsOf({ interface: 'eth0' }),
  );
  expect(judge({}, { carrierChanges: 7n }, drops)).toMatchObject([
    { packets: 90, because: [{}, { source: 'skb:kfree_skb' }] },
  ]);
});

test('a card that lost nothing known: still a flap', () => {
  expect(judge({}, { carrierChanges: 7n })).toMatchObject([{ packets: 0, claims: [] }]);
});

test('without a link at the end, link-down-tx counts the packets', () => {
  const [cause] = judge({}, { carrierChanges: 8n, txDropped: 107n, operstate: 'down' });
  expect(cause).toMatchObject({ packets: 0 });
});

test.each<[string, Partial<Link>, Partial<Link>]>([
  ['came up once', { operstate: 'down' }, { carrierChanges: 6n }],
  ['was set up in the window', { up: false }, { carrierChanges: 7n }],
  ['is a new interface', { ifindex: 9 }, { carrierChanges: 7n }],
  ['is a bridge', { kind: 'bridge' }, { kind: 'bridge', carrierChanges: 7n, txDropped: 100n }],
  [
    'is the end of a container that starts',
    { kind: 'veth' },
    { kind: 'veth', carrierChanges: 7n, txDropped: 32n },
  ],
  ['had its flaps long ago', {}, {}],
  ['does not count them', { carrierChanges: 0n }, { carrierChanges: 0n }],
])('silent: it %s', (_, first, last) => {
  expect(judge(first, last)).toEqual([]);
});

test('the other end of a veth that goes down and up under load', () => {
  const [cause] = judge({ kind: 'veth' }, { kind: 'veth', carrierChanges: 7n, txDropped: 33n });
  expect(cause).toMatchObject({ packets: 26 });
});

test('a queue that dropped by itself is another cause', () => {
  const links = (carrierChanges: bigint, txDropped: bigint) => ({
    interfaces: new Map([['eth0', linkOf({ carrierChanges, txDropped })]]),
  });
  const queue = (dropped: bigint) => ({
    qdiscs: [
      {
        device: 'eth0',
        kind: 'tbf',
        handle: '8001:',
        bytes: 0n,
        packets: 0n,
        dropped,
        overlimits: 0n,
        requeues: 0n,
        backlogBytes: 0n,
        queueLength: 0n,
        details: new Map<string, bigint>(),
        options: {},
      },
    ],
  });
  const evidence = {
    link: sampled(links(1n, 0n), links(3n, 100n)),
    drops: undefined,
    qdisc: sampled(queue(0n), queue(90n)),
    kernelLog: undefined,
  };
  expect(causesOf(rule.judge(evidence, window))).toMatchObject([{ packets: 0 }]);
});
