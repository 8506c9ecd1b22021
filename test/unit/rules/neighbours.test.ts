import { expect, test } from 'vitest';
import type { Neighbours, SilentNeighbour } from '../../../checks/neighbours.ts';
import arpConflictOrFlux from '../../../rules/neigh/arp-conflict-or-flux.ts';
import neighTableOverflow from '../../../rules/neigh/neigh-table-overflow.ts';
import neighUnresolved from '../../../rules/neigh/neigh-unresolved.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { JudgeWindow } from '../../../src/model/rule.ts';
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

const peer = { address: '10.0.0.9', device: 'eth0', gateway: false };
const gateway = { address: '10.0.0.1', device: 'eth0', gateway: true };

function state(
  entries: number,
  fulls: number,
  silent?: readonly SilentNeighbour[],
  count = silent?.length ?? 0,
): Neighbours {
  return {
    entries: new Map([['arp_cache', entries]]),
    counters: new Map([['arp_cache.table_fulls', BigInt(fulls)]]),
    ...(silent !== undefined && { silent: { count, named: silent } }),
  };
}

function unresolved(
  packets: number,
  silent: readonly SilentNeighbour[],
  { count = silent.length, told = 0, at = window, reason = 'NEIGH_FAILED' } = {},
) {
  const drops = capture([{ reason, location: 'neigh_invalidate', packets }]);
  const neighbours = sampled(state(5, 0), state(5, 0, silent, count));
  const snmp = snmpRise({ 'Ip.OutRequests': 1000, 'Icmp.OutDestUnreachs': told });
  return causesOf(neighUnresolved.judge({ drops, neighbours, snmp }, at))[0];
}

test.each([
  ['a peer', [peer], 1, 'warning', /10\.0\.0\.9 on eth0 does not answer/],
  ['the gateway', [gateway, peer], 2, 'critical', /gateway 10\.0\.0\.1/],
  ['a scan', [peer, peer], 16, 'notice', /many addresses that nobody has/],
  ['machines that are off, a few packets for each', [peer, peer], 8, 'notice', /Next hops/],
  ['machines that are off, more than that', [peer, peer], 7, 'warning', /Next hops/],
  ['the gateway, and machines that are off', [gateway, peer], 8, 'critical', /gateway/],
])('no answer: %s', (_, silent, count, severity, means) => {
  const cause = unresolved(200, silent, { count });
  expect(cause).toMatchObject({ confidence: 'certain', packets: 200 });
  expect(cause && severityOf(cause)).toBe(severity);
  expect(cause?.means).toMatch(means);
});

test('no answer: not a few, not another reason, not those of another namespace', () => {
  expect(unresolved(25, [peer])).toBeUndefined();
  expect(unresolved(200, [peer], { reason: 'NEIGH_CREATEFAIL' })).toBeUndefined();
  expect(unresolved(200, [], { told: 200, at: foreign })).toBeUndefined();
  expect(unresolved(200, [peer], { told: 120, at: foreign })).toMatchObject({
    confidence: 'likely',
    packets: 120,
  });
});

interface Overflow {
  readonly fulls?: number;
  readonly events?: number;
  readonly entries?: number;
  readonly silent?: number;
  readonly counters?: Counters;
  readonly at?: JudgeWindow;
}

function overflow(seen: Overflow) {
  const { fulls = 0, events = 0, entries = 1000, silent = 0, counters = {}, at = window } = seen;
  const neighbours = sampled(state(entries, 40), state(entries, 40 + fulls, [peer], silent));
  const reason = 'NEIGH_CREATEFAIL';
  const drops = capture([{ reason, location: 'ip_finish_output2', packets: events }]);
  const sysctl = settings({
    'net.ipv4.neigh.default.gc_thresh2': 512,
    'net.ipv4.neigh.default.gc_thresh3': 1024,
  });
  const snmp = snmpRise({ 'Ip.OutRequests': 1000, ...counters });
  return causesOf(
    neighTableOverflow.judge({ neighbours, drops, sysctl, snmp, kernelLog: undefined }, at),
  )[0];
}

test('the table is full: certain, and made larger for the peak', () => {
  expect(overflow({ fulls: 100, events: 100 })).toMatchObject({
    confidence: 'certain',
    packets: 100,
    fixes: [
      {
        steps: [
          { key: 'net.ipv4.neigh.default.gc_thresh3', from: '1024', to: '4096', hostWide: true },
          { key: 'net.ipv4.neigh.default.gc_thresh2', from: '512', to: '2048' },
        ],
      },
    ],
  });
});

test('a table full of addresses that nobody has is not made larger', () => {
  expect(overflow({ fulls: 100, events: 100, silent: 500 })?.fixes).toMatchObject([
    { steps: [{ kind: 'manual' }] },
  ]);
  expect(overflow({ fulls: 100, events: 100, silent: 499 })?.fixes).toMatchObject([
    { steps: [{ kind: 'sysctl' }, {}] },
  ]);
});

test('nearly full is a hint; another namespace met the limit, not this one', () => {
  expect(overflow({ entries: 922 })).toMatchObject({ packets: 0, severityAtMost: 'notice' });
  expect(overflow({ entries: 921 })).toBeUndefined();
  expect(overflow({ fulls: 100, events: 100, entries: 50, at: foreign })).toBeUndefined();
  const counters = { 'Ip.OutDiscards': 60 };
  expect(overflow({ fulls: 100, events: 100, counters, at: foreign })?.packets).toBe(60);
});

test('without drops the counter of the machine tells', () => {
  const neighbours = sampled(state(1000, 0), state(1000, 30));
  const evidence = {
    neighbours,
    drops: undefined,
    sysctl: undefined,
    snmp: snmpRise({}),
    kernelLog: undefined,
  };
  expect(causesOf(neighTableOverflow.judge(evidence, window))).toMatchObject([
    { packets: 30, fixes: [] },
  ]);
});

const open = { arp_ignore: 0, arp_announce: 0, arp_filter: 0 };

test.each([
  ['10.0.0.0/24', open, open, 1],
  ['10.0.0.0/24', open, { ...open, arp_ignore: 1 }, 0],
  ['10.0.0.0/24', open, { ...open, arp_filter: 1 }, 0],
  ['169.254.0.0/16', open, open, 0],
  ['10.0.0.1', open, open, 0],
])('two interfaces in %s', (network, eth0, eth1, causes) => {
  const subnets = { shared: [{ network, interfaces: new Map(Object.entries({ eth0, eth1 })) }] };
  const found = causesOf(arpConflictOrFlux.judge({ subnets: sampled(subnets, subnets) }, window));
  expect(found).toHaveLength(causes);
  for (const cause of found) expect(cause).toMatchObject({ packets: 0, severityAtMost: 'notice' });
});
