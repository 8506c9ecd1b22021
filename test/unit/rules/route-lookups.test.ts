import { expect, test } from 'vitest';
import type { Lookup, Lookups } from '../../../checks/lookups.ts';
import blackholeRoute from '../../../rules/ip/blackhole-route.ts';
import ipTtlExceeded from '../../../rules/ip/ip-ttl-exceeded.ts';
import noRouteIn from '../../../rules/ip/no-route-in.ts';
import { capture, causesOf, snmpRise, window } from './evidence.ts';
import { blackholeOf, dropsOfLookups, lookupOf, NO_ROUTE, policyOf, wayOut } from './lookups.ts';

const traffic = { 'Ip.InReceives': 1000 };

function refusal(policy: Lookups['policy'], ...answers: readonly Lookup[]) {
  const drops = capture([
    { location: 'ip_error', packets: 200, ...dropsOfLookups(answers, 200 / answers.length) },
  ]);
  const evidence = { drops, snmp: snmpRise(traffic), routes: undefined };
  const [cause] = causesOf(
    blackholeRoute.judge({ ...evidence, lookups: { answers, policy } }, window),
  );
  return cause;
}

test('the blackhole that the kernel found, with what deletes it', () => {
  const refusing = [blackholeOf('198.51.0.0/16'), blackholeOf('198.51.100.0/24')];
  expect(refusal(policyOf(), lookupOf({ refusing }))).toMatchObject({
    confidence: 'certain',
    scope: { rule: 'blackhole 198.51.100.0/24' },
    fixes: [{ steps: [{ argv: ['ip', '-4', 'route', 'del', 'blackhole', '198.51.100.0/24'] }] }],
  });
});

const innocent = blackholeOf('198.51.100.0/24');

test('a policy rule beside an innocent blackhole route', () => {
  const policy = policyOf({ priority: 100, src: '10.0.0.0', srclen: 24, action: 'blackhole' });
  const rule = '100: from 10.0.0.0/24 blackhole';
  const refused = refusal(policy, lookupOf({ refusing: [innocent] }));
  expect(refused).toMatchObject({ confidence: 'certain', scope: { rule } });
  expect(refused?.means).toContain(`The rule "${rule}" says to drop`);
  expect(refused?.fixes).toMatchObject([{ steps: [{ kind: 'manual' }] }]);
  // Of another sender, and of another interface, it is the route.
  const other = lookupOf({ source: '10.0.1.9', refusing: [innocent] });
  expect(refusal(policy, other)?.scope).toEqual({ rule: innocent.text });
  const ofEth1 = policyOf({ priority: 100, src: 'all', iif: 'eth1', action: 'blackhole' });
  expect(refusal(ofEth1, lookupOf({ refusing: [innocent] }))?.scope).toEqual({
    rule: innocent.text,
  });
});

test.each([
  [
    'a rule for all but these senders',
    { not: null, src: '10.0.0.0', srclen: 8, table: '7' },
    'main',
  ],
  ['a rule for these senders', { src: '10.0.0.0', srclen: 8, table: '7' }, '7'],
  [
    'a rule for other destinations',
    { src: 'all', dst: '203.0.113.0', dstlen: 24, table: '7' },
    'main',
  ],
])('which table is looked up: %s', (_, rule, table) => {
  const refusing = [innocent, blackholeOf('198.51.0.0/16', '7')];
  const text = table === '7' ? 'blackhole 198.51.0.0/16 table 7' : innocent.text;
  expect(refusal(policyOf({ priority: 9, ...rule }), lookupOf({ refusing }))).toMatchObject({
    confidence: 'certain',
    scope: { rule: text },
  });
});

test('a route of the type throw sends the look-up on', () => {
  const refusing = [blackholeOf('198.51.0.0/16', '7'), innocent];
  const policy = policyOf({ priority: 9, src: 'all', table: '7' });
  const passing = [{ destination: '198.51.100.0/24', table: '7' }];
  expect(refusal(policy, lookupOf({ refusing, passing }))?.scope).toEqual({ rule: innocent.text });
  const wider = [{ destination: '198.0.0.0/8', table: '7' }];
  expect(refusal(policy, lookupOf({ refusing, passing: wider }))?.scope).toEqual({
    rule: 'blackhole 198.51.0.0/16 table 7',
  });
});

test('a rule that asks for a firewall mark and may have been it: likely, no more, and nothing to paste', () => {
  const policy = policyOf({ priority: 9, src: 'all', fwmark: '0x1', action: 'blackhole' });
  const refused = refusal(policy, lookupOf({ refusing: [innocent] }));
  expect(refused).toMatchObject({ confidence: 'likely', scope: { rule: innocent.text } });
  expect(refused?.means).toContain('probably');
  expect(refused?.because.at(-1)?.text).toContain('"9: from all fwmark 0x1 blackhole"');
  expect(refused?.fixes).toMatchObject([{ steps: [{ kind: 'manual' }] }]);
  // It comes after, or is for others.
  const after = policyOf({ priority: 40_000, src: '10.9.9.9', fwmark: '0x1', action: 'blackhole' });
  expect(refusal(after, lookupOf({ refusing: [innocent] }))?.confidence).toBe('certain');
});

const { refusing: _, ...unlisted } = lookupOf();

test.each<[string, Lookup]>([
  ['there is a way now', lookupOf({ answer: wayOut('eth1') })],
  ['the routes could not be listed', unlisted],
  [
    'the rule is of another type',
    lookupOf({ answer: { kind: 'error', error: 'EACCES', text: 'no' } }),
  ],
])('no name, and not certain: %s', (_, lookup) => {
  const policy = policyOf({ priority: 9, src: '10.0.0.9', action: 'blackhole' });
  expect(refusal(policy, lookup)).toMatchObject({ confidence: 'likely', scope: {} });
});

test('the table of a VRF, which no rule names', () => {
  const ofVrf = blackholeOf('198.51.100.0/24', '10');
  const policy = policyOf({ priority: 1000, src: 'all', l3mdev: null });
  expect(refusal(policy, lookupOf({ refusing: [ofVrf] }))).toMatchObject({
    confidence: 'likely',
    scope: { rule: ofVrf.text },
  });
  // In main, or in whichever table: that is not known.
  const several = [blackholeOf('198.51.100.0/24', '11'), ofVrf];
  expect(refusal(policy, lookupOf({ refusing: several }))?.scope).toEqual({});
  // A table that nothing leads to is none of it.
  expect(refusal(policyOf(), lookupOf({ refusing: [ofVrf] }))?.scope).toEqual({});
});

test('a way now is said to be no evidence', () => {
  const refused = refusal(policyOf(), lookupOf({ answer: wayOut('eth1', '10.1.0.1') }));
  expect(refused?.because.at(-1)?.text).toMatch(
    /^it goes out on eth1 by 10.1.0.1 now, which says nothing/,
  );
});

test('two refusals: both are evidence, none is the one', () => {
  const other = lookupOf({ destination: '203.0.113.1', refusing: [blackholeOf('203.0.113.1')] });
  const refused = refusal(policyOf(), lookupOf({ refusing: [innocent] }), other);
  expect(refused).toMatchObject({ confidence: 'certain', scope: {} });
  const texts = refused?.because.map(({ text }) => text).join();
  expect(texts).toContain(innocent.text);
  expect(texts).toContain('blackhole 203.0.113.1');
});

function noRoute(policy: Lookups['policy'], lookup: Partial<Lookup> = {}) {
  const answers = [lookupOf({ answer: NO_ROUTE, ...lookup })];
  const drops = capture([
    {
      reason: 'IP_INNOROUTES',
      location: 'ip_error',
      packets: 200,
      ...dropsOfLookups(answers, 200),
    },
  ]);
  const [cause] = causesOf(
    noRouteIn.judge(
      {
        snmp: snmpRise({ ...traffic, 'IpExt.InNoRoutes': 200 }),
        drops,
        routes: undefined,
        sysctl: undefined,
        lookups: { answers, policy },
      },
      window,
    ),
  );
  return cause;
}

test('no route: the tables that the kernel looked in, or the rule that says so', () => {
  const policy = policyOf({ priority: 9, src: '10.0.0.0', srclen: 8, table: '7' });
  expect(noRoute(policy)?.because.at(-1)?.text).toBe(
    'the kernel answers "Network is unreachable"; tables looked in: local, 7, main, default',
  );
  const rule = '9: from 10.0.0.9 unreachable';
  expect(noRoute(policyOf({ priority: 9, src: '10.0.0.9', action: 'unreachable' }))).toMatchObject({
    scope: { rule },
    means: expect.stringContaining(rule) as unknown,
  });
});

test.each([
  ['back to where they came from', wayOut('eth0', '10.0.0.1'), true],
  ['to a neighbour on the same network', wayOut('eth0'), false],
  ['on by another interface', wayOut('eth1', '10.1.0.1'), false],
])('hops used up, and the way on goes %s', (_, answer, isLoop) => {
  const answers = [lookupOf({ answer })];
  const drops = capture([
    { reason: 'IP_INHDR', location: 'ip_forward', packets: 200, ...dropsOfLookups(answers, 200) },
  ]);
  const snmp = snmpRise({ ...traffic, 'Ip.InHdrErrors': 200 });
  const lookups = { answers, policy: new Map() };
  const [cause] = causesOf(ipTtlExceeded.judge({ snmp, drops, lookups }, window));
  expect(cause?.confidence).toBe('likely');
  expect(cause?.means.includes('probably a routing loop between it')).toBe(isLoop);
  expect(cause?.because.some(({ text }) => text.includes('10.0.0.1 on eth0'))).toBe(isLoop);
});
