import { expect, test } from 'vitest';
import type { Conntrack } from '../../../checks/conntrack.ts';
import rule from '../../../rules/netfilter/nf-conntrack-full.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import type { CauseFinding } from '../../../src/model/rule.ts';
import {
  capture,
  causesOf,
  conntrackOf,
  sampled,
  snmpRise,
  window,
  type Counters,
} from './evidence.ts';

interface Case extends Partial<Omit<Conntrack, 'counters'>> {
  /** How far they rose in the window; null: they could not be read. */
  readonly rises?: Counters | null;
  readonly sinceBoot?: number;
  /** Entries at the beginning, where it differs. */
  readonly firstCount?: number;
  readonly noLimit?: true;
  readonly drops?: DropCapture;
  readonly received?: Counters;
}

function judge({
  rises = {},
  sinceBoot = 5000,
  firstCount,
  noLimit,
  drops,
  received = {},
  ...rest
}: Case): CauseFinding | undefined {
  const state = { count: 990, ...(noLimit ? {} : { max: 1000 }), buckets: 1000, ...rest };
  const full = rises === null ? null : { drop: 0, insert_failed: 0, ...rises };
  const at = (add: boolean): Counters =>
    Object.fromEntries(
      // As wide as in the kernel.
      Object.entries(full ?? {}).map(([name, rise]) => [
        name,
        Number(BigInt.asUintN(32, BigInt(sinceBoot + (add ? rise : 0)))),
      ]),
    );
  const conntrack = sampled(
    conntrackOf({ ...state, count: firstCount ?? state.count }, at(false)),
    conntrackOf(state, at(true)),
  );
  const snmp = snmpRise(received);
  return causesOf(rule.judge({ conntrack, drops, snmp, kernelLog: undefined }, window))[0];
}

const netfilterDrop = (packets: number, location = 'nf_hook_slow') =>
  capture([{ reason: 'NETFILTER_DROP', location, packets }]);

test('drop rises, insert_failed does not, the table is full: certain', () => {
  const finding = judge({
    rises: { drop: 80 },
    drops: netfilterDrop(80),
    received: { 'Ip.InReceives': 300, 'Ip6.InReceives': 100 },
  });
  expect(finding).toMatchObject({
    confidence: 'certain',
    packets: 80,
    traffic: { packets: 400 },
    claims: [
      { reason: 'NETFILTER_DROP', location: 'nf_hook_slow', packets: 80 },
      { reason: null, location: 'nf_hook_slow', packets: 80 },
    ],
  });
  expect(finding?.because).toMatchObject([
    { source: 'conntrack -S drop', first: '5000', last: '5080' },
    { text: '990 of 1000 entries in use (99 %)' },
    { source: 'skb:kfree_skb' },
  ]);
});

test('look-alike: a firewall rule drops at the same place, and conntrack counts nothing', () => {
  expect(judge({ count: 500, drops: netfilterDrop(500) })).toBeUndefined();
  // A table that is nearly full beside it is a risk, and claims none of those drops.
  expect(judge({ drops: netfilterDrop(500) })).toMatchObject({ packets: 0, claims: [] });
});

test('look-alike: NAT without a free port counts in drop and insert_failed alike', () => {
  expect(judge({ count: 40, rises: { drop: 16, insert_failed: 16 } })).toBeUndefined();
  expect(judge({ rises: { drop: 20, insert_failed: 16 } })?.packets).toBe(4);
  expect(judge({ count: 40, rises: { drop: 5, insert_failed: 16 } })).toBeUndefined();
});

test.each([
  [950, 'certain', ['raise-max']],
  [949, 'likely', ['raise-max']],
  [750, 'likely', ['raise-max']],
  // Whatever it was, a longer table would not have helped.
  [749, 'possible', []],
  [0, 'possible', []],
] as const)('refused with %d of 1000 entries in use: %s', (count, confidence, fixes) => {
  const finding = judge({ count, rises: { drop: 1 } });
  expect(finding).toMatchObject({ confidence, packets: 1 });
  expect(finding?.fixes.map(({ id }) => id)).toEqual(fixes);
});

test('the fullest moment counts', () => {
  expect(judge({ firstCount: 1000, count: 10, rises: { drop: 3 } })?.confidence).toBe('certain');
});

test('filling up, none refused yet: told from nine tenths on, as a notice', () => {
  expect(judge({ count: 899 })).toBeUndefined();
  const finding = judge({ count: 900 });
  expect(finding).toMatchObject({ confidence: 'possible', packets: 0, rulesOut: [], claims: [] });
  expect(finding && severityOf(finding)).toBe('notice');
  expect(finding?.means).toContain('so far none was');
});

test('counters that could not be read are not counters that stand still', () => {
  const finding = judge({ rises: null });
  expect(finding?.means).toContain('cannot be read');
  expect(finding?.because.map(({ source }) => source)).not.toContain('conntrack -S drop');
  expect(judge({ rises: null, count: 10, drops: netfilterDrop(10) })).toBeUndefined();
});

test('the limit could not be read: possible, and no number is invented', () => {
  const finding = judge({ noLimit: true, rises: { drop: 7 } });
  expect(finding).toMatchObject({ confidence: 'possible', packets: 7, fixes: [] });
  expect(finding?.because[1]?.text).toContain('cannot be read');
  expect(judge({ noLimit: true })).toBeUndefined();
});

test('a limit of 0 is none: such a table is never full', () => {
  expect(judge({ max: 0, rises: { drop: 9 } })).toBeUndefined();
});

test('drop wraps at 2^32', () => {
  expect(judge({ rises: { drop: 30 }, sinceBoot: 2 ** 32 - 10 })?.packets).toBe(30);
});

test('a kernel without drop reasons', () => {
  const drops = capture([{ location: 'nf_hook_slow', packets: 80 }], false);
  expect(judge({ rises: { drop: 80 }, drops })).toMatchObject({
    confidence: 'certain',
    packets: 80,
  });
});

const steps = (finding: CauseFinding | undefined) =>
  finding?.fixes[0]?.steps.map((step) =>
    step.kind === 'sysctl' ? [step.key, step.from, step.to] : [],
  );
const maxKey = 'net.netfilter.nf_conntrack_max';
const bucketsKey = 'net.netfilter.nf_conntrack_buckets';

test.each([
  ['twice the limit', { rises: { drop: 10 } }, [[maxKey, '1000', '2000']]],
  ['twice what was asked for', { rises: { drop: 500 } }, [[maxKey, '1000', '2980']]],
  ['at most four times the limit', { rises: { drop: 90_000 } }, [[maxKey, '1000', '4000']]],
  [
    'or an entry for each bucket there is',
    { rises: { drop: 90_000 }, buckets: 65_536 },
    [[maxKey, '1000', '65536']],
  ],
  [
    'with buckets for chains of four',
    { rises: { drop: 10 }, buckets: 256 },
    [
      [maxKey, '1000', '2000'],
      [bucketsKey, '256', '500'],
    ],
  ],
])('the new limit: %s', (_, setup, expected) => {
  expect(steps(judge(setup))).toEqual(expected);
});

test('the fix is of the whole host, and says what it costs', () => {
  const [fix] =
    judge({ count: 262_144, max: 262_144, buckets: 262_144, rises: { drop: 9 } })?.fixes ?? [];
  // 262,144 more entries of 400 bytes.
  expect(fix?.cost).toContain('105 more MB');
  expect(fix?.steps).toMatchObject([{ hostWide: true }]);
  expect(fix?.expect?.counter).toBe('conntrack drop');
});
