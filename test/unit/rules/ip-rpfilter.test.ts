import { expect, test } from 'vitest';
import type { Link } from '../../../checks/link.ts';
import type { Lookup, Lookups } from '../../../checks/lookups.ts';
import rule from '../../../rules/ip/ip-rpfilter.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import type { CauseFinding } from '../../../src/model/rule.ts';
import { capture, causesOf, linkRise, settings, snmpRise, window } from './evidence.ts';
import { dropsOfLookups, lookupOf, NO_ROUTE, wayOut } from './lookups.ts';

const counter = 'TcpExt.IPReversePathFilter';
const key = (name: string) => `net.ipv4.conf.${name}.rp_filter`;

interface Case {
  readonly refused?: number;
  readonly all?: number;
  /** Interface, as a key spells it → its own setting. */
  readonly own?: Readonly<Record<string, number>>;
  /** Interfaces and what they received; null: could not be read. */
  readonly links?: Readonly<Record<string, Partial<Link>>> | null;
  readonly drops?: DropCapture | undefined;
  readonly lookups?: Lookups | undefined;
}

function judge({
  refused = 100,
  all = 0,
  own = { eth0: 1 },
  links = { eth0: { rxPackets: 1000n } },
  drops,
  lookups,
}: Case): readonly CauseFinding[] {
  const values = Object.entries({ all, ...own }).map(([name, value]) => [key(name), value]);
  return causesOf(
    rule.judge(
      {
        snmp: snmpRise({ [counter]: refused, 'Ip.InReceives': 2000 }),
        sysctl: settings(Object.fromEntries(values) as Record<string, number>),
        link: links === null ? undefined : linkRise(links),
        drops,
        kernelLog: undefined,
        lookups,
      },
      window,
    ),
  );
}

test('strict mode refused packets: certain, with the setting and what to change', () => {
  const [finding, ...others] = judge({ drops: capture([{ reason: 'IP_RPFILTER', packets: 97 }]) });
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    confidence: 'certain',
    packets: 100,
    traffic: { packets: 2000 },
    scope: { interface: 'eth0' },
  });
  expect(finding?.because).toMatchObject([
    { source: '/proc/net/netstat TcpExt IPReversePathFilter', first: '1000', last: '1100' },
    { source: key('eth0'), last: '1' },
    { source: 'skb:kfree_skb', text: expect.stringContaining('97 drops') as unknown },
  ]);
  expect(finding?.fixes).toMatchObject([
    {
      id: 'loose-mode-eth0',
      risk: 'caution',
      steps: [{ kind: 'sysctl', key: key('eth0'), from: '1', to: '2', hostWide: false }],
      expect: { counter: `snmp ${counter}`, change: 'stops-rising' },
    },
  ]);
  expect(finding?.claims).toEqual([
    { reason: 'IP_RPFILTER', packets: 100 },
    { reason: null, location: expect.arrayContaining(['ip_rcv_finish']) as unknown, packets: 100 },
  ]);
});

test('one packet is enough; none, whatever was dropped or set, is silence', () => {
  expect(judge({ refused: 1 })[0]?.packets).toBe(1);
  expect(judge({ refused: 0 })).toEqual([]);
  // A martian, or a filter of another namespace.
  const drops = capture([{ reason: 'IP_RPFILTER', packets: 500 }]);
  expect(judge({ refused: 0, drops })).toEqual([]);
  expect(judge({ refused: -900 })).toEqual([]);
});

// IN_DEV_RPFILTER is the higher of both. Neither all = 0 nor eth0 = 0 opens it where the other is 1.
test.each([
  [0, 1],
  [1, 0],
  [1, 1],
])('all = %d, eth0 = %d is strict: loose mode would let them in', (all, own) => {
  const [finding] = judge({ all, own: { eth0: own } });
  expect(finding?.because[1]?.text).toContain('strict mode is in force on eth0');
  expect(finding?.fixes).toMatchObject([
    { steps: [{ kind: 'sysctl', key: key('eth0'), from: String(own), to: '2' }] },
  ]);
});

test.each([
  [0, 2],
  [1, 2],
  [2, 0],
  [2, 1],
  [2, 2],
])('all = %d, eth0 = %d is loose: only a route back lets them in', (all, own) => {
  const [finding] = judge({ all, own: { eth0: own } });
  expect(finding?.confidence).toBe('certain');
  expect(finding?.means).toContain('no route at all');
  expect(finding?.fixes).toMatchObject([{ id: 'route-back-eth0', steps: [{ kind: 'manual' }] }]);
});

test('all = 0, eth0 = 0 is off: it was in force a moment ago, or the counter had not moved', () => {
  const [finding] = judge({ all: 0, own: { eth0: 0 } });
  expect(finding).toMatchObject({ confidence: 'likely', scope: {}, fixes: [] });
  expect(finding?.means).toContain('switched off while measuring');
});

test('an interface with too little traffic cannot be the one', () => {
  const own = { eth0: 1, eth1: 1, eth2: 1 };
  const links = {
    eth0: { rxPackets: 49n },
    eth1: { rxPackets: 50n },
    eth2: { rxPackets: 0n },
    lo: { rxPackets: 5000n },
  };
  expect(judge({ own: { ...own, lo: 1 }, links })[0]?.scope).toEqual({ interface: 'eth1' });
});

test('several suspects: the busiest are named, none is convicted', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const own = Object.fromEntries(names.map((name) => [name, 1]));
  const links = Object.fromEntries(
    names.map((name, index) => [name, { rxPackets: BigInt(1000 * (index + 1)) }]),
  );
  const [finding] = judge({ own, links });
  expect(finding?.scope).toEqual({});
  expect(finding?.means).toContain('one of e, d, c and 2 more.');
  expect(finding?.fixes.map(({ id }) => id)).toEqual([
    'loose-mode-e',
    'loose-mode-d',
    'loose-mode-c',
  ]);
  expect(judge({ own: { a: 1, b: 1 }, links })[0]?.means).toContain('one of b, a.');
});

test('suspects in different modes get different advice', () => {
  const links = { eth0: { rxPackets: 900n }, eth1: { rxPackets: 800n } };
  const [finding] = judge({ own: { eth0: 2, eth1: 1 }, links });
  expect(finding?.fixes.map(({ id }) => id)).toEqual(['route-back-eth0', 'loose-mode-eth1']);
});

test('a dot in the name of an interface is a slash in its key', () => {
  const own = { 'eth0/100': 1 };
  for (const links of [{ 'eth0.100': { rxPackets: 500n } }, null]) {
    const [finding] = judge({ own, links });
    expect(finding?.scope).toEqual({ interface: 'eth0.100' });
    expect(finding?.because[1]?.source).toBe('net.ipv4.conf.eth0/100.rp_filter');
    expect(finding?.fixes[0]?.steps[0]).toMatchObject({ key: 'net.ipv4.conf.eth0/100.rp_filter' });
  }
});

test('interfaces could not be read: all with the filter in force are suspects', () => {
  const [finding] = judge({ own: { default: 1, eth0: 1, eth1: 0, eth2: 2, lo: 1 }, links: null });
  expect(finding?.means).toContain('one of eth0, eth2.');
  expect(finding).toMatchObject({ confidence: 'certain', scope: {}, packets: 100 });
});

test('an interface whose setting could not be read is no suspect', () => {
  const links = { 'a=b': { rxPackets: 1000n }, eth9: { rxPackets: 1000n } };
  expect(judge({ own: {}, links })[0]).toMatchObject({ confidence: 'likely', fixes: [] });
});

test('a kernel without drop reasons: the counter alone is certain', () => {
  const drops = capture([{ location: 'ip_rcv_finish', packets: 100 }], false);
  const [finding] = judge({ drops });
  expect(finding?.confidence).toBe('certain');
  expect(finding?.because.map(({ source }) => source)).not.toContain('skb:kfree_skb');
});

function refusedFlow(back: Lookup['wayBack'], lookup: Partial<Lookup> = {}) {
  const answer = lookupOf({
    source: '192.0.2.7',
    destination: '10.0.0.1',
    ...(back !== undefined && { wayBack: back }),
    ...lookup,
  });
  const flows = dropsOfLookups([answer], 100);
  return {
    drops: capture([{ reason: 'IP_RPFILTER', packets: 100, ...flows }]),
    lookups: { answers: [answer], policy: new Map() },
  };
}

const command = 'ip route get 192.0.2.7 from 10.0.0.1';

test('where the way back is, and which of two interfaces it was', () => {
  const own = { eth0: 1, eth1: 1 };
  const links = { eth0: { rxPackets: 900n }, eth1: { rxPackets: 900n } };
  const back = { command, answer: wayOut('eth1', '10.1.0.1') };
  const [finding] = judge({ own, links, ...refusedFlow(back) });
  expect(finding?.scope).toEqual({ interface: 'eth0' });
  expect(finding?.because).toContainEqual({
    source: command,
    text: 'packets from 192.0.2.7 came in on eth0, but the way back to 192.0.2.7 goes out on eth1 by 10.1.0.1',
  });
  expect(finding?.fixes.map(({ id }) => id)).toEqual(['loose-mode-eth0']);
});

test.each([1, 2])('no way back in mode %d: loose mode is no cure', (mode) => {
  const flow = refusedFlow({ command, answer: NO_ROUTE });
  const [finding] = judge({ own: { eth0: mode }, ...flow });
  expect(finding?.because.map(({ text }) => text)).toContain(
    'packets from 192.0.2.7 came in on eth0, and there is no way back to 192.0.2.7 (Network is unreachable)',
  );
  expect(finding?.means).toContain('no way back');
  expect(finding?.fixes).toMatchObject([{ id: 'route-back-eth0', steps: [{ kind: 'manual' }] }]);
});

test('an answer that does not fit is no evidence', () => {
  const [now] = judge(refusedFlow(undefined, { answer: wayOut('eth1') }));
  expect(now?.because.map(({ text }) => text).join()).toContain(
    'says nothing of the dropped packets',
  );
  const sameWay = { command, answer: wayOut('eth0') };
  const [same] = judge(refusedFlow(sameWay));
  expect(same?.because.map(({ source }) => source)).not.toContain(command);
  expect(same?.fixes.map(({ id }) => id)).toEqual(['loose-mode-eth0']);
});
