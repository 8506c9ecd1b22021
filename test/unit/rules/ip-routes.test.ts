import { expect, test } from 'vitest';
import type { Routes } from '../../../checks/routes.ts';
import blackholeRoute from '../../../rules/ip/blackhole-route.ts';
import forwardingDisabled from '../../../rules/ip/forwarding-disabled.ts';
import { inNetwork } from '../../../rules/ip/networks.ts';
import noRouteIn from '../../../rules/ip/no-route-in.ts';
import noRouteOut from '../../../rules/ip/no-route-out.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCount } from '../../../src/model/drops.ts';
import type { JudgeWindow } from '../../../src/model/rule.ts';
import {
  capture,
  causesOf,
  foreign,
  linkRise,
  sampled,
  settings,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';
import { blackholeOf } from './lookups.ts';

const traffic = { 'Ip.InReceives': 1000, 'Ip.OutRequests': 1000 };

function forwarding(
  counters: Counters,
  values: Readonly<Record<string, number>>,
  kind?: 'bridge' | 'veth',
) {
  const evidence = {
    snmp: snmpRise({ ...traffic, ...counters }),
    sysctl: settings(values),
    drops: undefined,
    firewall: undefined,
    link: kind && linkRise({ [`${kind}0`]: { kind } }),
  };
  return causesOf(forwardingDisabled.judge(evidence, window))[0];
}

test('forwarding is off where machines hang behind a bridge', () => {
  const off = { 'net.ipv4.ip_forward': 0 };
  const cause = forwarding({ 'Ip.InAddrErrors': 200 }, off, 'bridge');
  expect(cause).toMatchObject({
    confidence: 'likely',
    packets: 200,
    fixes: [{ steps: [{ key: 'net.ipv4.ip_forward', from: '0', to: '1' }] }],
  });
  expect(cause && severityOf(cause)).toBe('warning');
  expect(forwarding({ 'Ip.InAddrErrors': 25 }, off, 'bridge')).toBeUndefined();
});

test('a plain host, or a container, is no router: somebody else is wrong', () => {
  for (const kind of [undefined, 'veth'] as const) {
    expect(
      forwarding({ 'Ip.InAddrErrors': 5000 }, { 'net.ipv4.ip_forward': 0 }, kind),
    ).toMatchObject({
      confidence: 'possible',
      severityAtMost: 'notice',
      fixes: [],
    });
  }
});

test('one interface does not forward though the host does', () => {
  const values = {
    'net.ipv4.ip_forward': 1,
    'net.ipv4.conf.eth0.forwarding': 1,
    'net.ipv4.conf.eth1/5.forwarding': 0,
  };
  expect(forwarding({ 'Ip.InAddrErrors': 100 }, values)).toMatchObject({
    confidence: 'likely',
    fixes: [{ steps: [{ key: 'net.ipv4.conf.eth1/5.forwarding', from: '0', to: '1' }] }],
  });
});

test('IPv6 without a route: whose cause it is depends on whether the host forwards', () => {
  const counters = { 'Ip6.InNoRoutes': 100 };
  const noRoute = (forwards: number) =>
    causesOf(
      noRouteIn.judge(
        {
          snmp: snmpRise({ ...traffic, ...counters }),
          sysctl: settings({ 'net.ipv6.conf.all.forwarding': forwards }),
          drops: undefined,
          routes: undefined,
          lookups: undefined,
        },
        window,
      ),
    ).map(({ packets }) => packets);
  expect(noRoute(1)).toEqual([100]);
  expect(noRoute(0)).toEqual([]);
  expect(forwarding(counters, { 'net.ipv6.conf.all.forwarding': 0 })?.packets).toBe(100);
  expect(forwarding(counters, { 'net.ipv6.conf.all.forwarding': 1 })).toBeUndefined();
});

test('a router without a route: certain, and says when there is no default route', () => {
  const routes: Routes = { failures: new Map(), tables: { refusing: [], defaults: new Set([6]) } };
  const judge = (packets: number) =>
    causesOf(
      noRouteIn.judge(
        {
          snmp: snmpRise({ ...traffic, 'IpExt.InNoRoutes': packets }),
          sysctl: undefined,
          drops: undefined,
          routes: sampled(routes, routes),
          lookups: undefined,
        },
        window,
      ),
    );
  const [cause] = judge(26);
  expect(cause).toMatchObject({ confidence: 'certain', packets: 26, severityAtMost: 'warning' });
  expect(cause?.because.map(({ text }) => text)).toContain('there is no default route for IPv4');
  expect(judge(25)).toEqual([]);
});

test.each<[string, Counters, string | undefined]>([
  ['IPv4', { 'Ip.OutNoRoutes': 100 }, 'warning'],
  ['IPv6 alone: programs go on with IPv4', { 'Ip6.OutNoRoutes': 500 }, 'notice'],
  ['a few', { 'Ip.OutNoRoutes': 25 }, undefined],
  ['a total since boot', {}, undefined],
])('programs without a route: %s', (_, counters, severity) => {
  const snmp = snmpRise({ ...traffic, ...counters });
  const [cause] = causesOf(
    noRouteOut.judge({ snmp, drops: undefined, routes: undefined, lookups: undefined }, window),
  );
  expect(cause && severityOf(cause)).toBe(severity);
  expect(cause?.beforeEvents).toBe(severity === undefined ? undefined : true);
});

function blackhole(
  drop: Partial<DropCount>,
  counters: Counters = {},
  at: JudgeWindow = window,
  hasReasons = true,
) {
  const drops = capture(
    [{ reason: hasReasons ? 'NOT_SPECIFIED' : null, location: 'ip_error', packets: 200, ...drop }],
    hasReasons,
  );
  const snmp = snmpRise({ ...traffic, 'Ip.InDelivers': 900, ...counters });
  const evidence = { drops, snmp, routes: undefined, lookups: undefined };
  return causesOf(blackholeRoute.judge(evidence, at))[0];
}

test('refusing routes are no proof: which of them it was is not told without the kernel', () => {
  const routes: Routes = {
    failures: new Map(),
    tables: { refusing: [blackholeOf('198.51.100.0/24')], defaults: new Set() },
  };
  const drops = capture([{ location: 'ip_error', packets: 200 }]);
  const evidence = { drops, snmp: snmpRise(traffic), routes: sampled(routes, routes) };
  const [cause] = causesOf(blackholeRoute.judge({ ...evidence, lookups: undefined }, window));
  expect(cause).toMatchObject({ confidence: 'likely', scope: {} });
  expect(cause?.because.map(({ text }) => text)).toContain('blackhole 198.51.100.0/24');
});

test('refused on purpose: not the look-alikes with a reason of their own, not noise', () => {
  expect(blackhole({ reason: 'IP_INNOROUTES' })).toBeUndefined();
  expect(blackhole({ reason: 'IP_INADDRERRORS' })).toBeUndefined();
  expect(blackhole({ packets: 25 })).toBeUndefined();
  // Without reasons the counted ones are taken off.
  expect(blackhole({}, { 'IpExt.InNoRoutes': 150 }, window, false)?.packets).toBe(50);
  // Of the whole machine: what vanished here, as a hint.
  expect(blackhole({ packets: 9000 }, {}, foreign)).toMatchObject({
    confidence: 'possible',
    packets: 100,
    severityAtMost: 'notice',
  });
});

test.each([
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.1.2.3', '10.0.0.0/8', false],
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.3', 'default', true],
  ['2001:db8::1', '2001:db8::/32', true],
  ['2001:db9::1', '2001:db8::/32', false],
  ['::1', '::1', true],
  ['2001:db8:0:0:0:0:0:1', '2001:db8::1', true],
  ['10.1.2.3', '2001:db8::/32', false],
  ['aa:bb:cc:dd:ee:ff', '10.0.0.0/8', false],
  ['', '10.0.0.0/8', false],
  ['1::2::3', '1::/16', false],
])('%s in %s: %s', (address, network, inside) => {
  expect(inNetwork(address, network)).toBe(inside);
});
