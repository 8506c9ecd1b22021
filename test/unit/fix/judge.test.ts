import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { judgeFix, newCauses, type Measurement } from '../../../src/fix/judge.ts';
import { cause, COUNTER, measured, TRAFFIC } from './fixture.ts';

const expectation = { counter: COUNTER, change: 'stops-rising', traffic: TRAFFIC } as const;
const atOnce = { takesEffect: 'at-once', restarted: false } as const;
const before = measured(1000, 10_000);

test.each<[string, Measurement, string, string]>([
  ['stopped, traffic there', measured(0, 10_000), 'verified', `${COUNTER} no longer rises`],
  ['a tenth left', measured(100, 10_000), 'verified', `${COUNTER} rises far more slowly`],
  ['just more than a tenth left', measured(101, 10_000), 'failed', `${COUNTER} still rises`],
  ['as before', measured(1000, 10_000), 'failed', `${COUNTER} still rises`],
  ['no traffic', measured(0, 0), 'unverified', 'there was hardly any traffic to tell'],
  ['a tenth of the traffic', measured(0, 1000), 'verified', `${COUNTER} no longer rises`],
  ['less than a tenth', measured(0, 999), 'unverified', 'there was hardly any traffic to tell'],
  // A fifth of the traffic would have cost 200: 50 are still a quarter of that.
  ['less loss only for less traffic', measured(50, 2000), 'failed', `${COUNTER} still rises`],
  [
    'a fifth of the traffic, cured',
    measured(20, 2000),
    'verified',
    `${COUNTER} rises far more slowly`,
  ],
  ['still losing though quiet', measured(500, 10), 'failed', `${COUNTER} still rises`],
])('%s', (_title, after, outcome, reason) => {
  expect(judgeFix(before, after, expectation, atOnce)).toMatchObject({ outcome, reason });
});

test('windows of different length are compared by rate', () => {
  const after = { ...measured(150, 20_000), seconds: 10 };
  expect(judgeFix(before, after, expectation, atOnce)).toMatchObject({
    outcome: 'verified',
    rate: { before: 200, after: 15 },
  });
});

test('what cannot be compared is unverified', () => {
  const withoutCounter = { ...before, rises: new Map([[TRAFFIC, 5]]) };
  const withoutTraffic = { ...before, rises: new Map([[COUNTER, 0]]) };
  const outcomes = [
    judgeFix(before, before, undefined, atOnce),
    judgeFix(withoutCounter, before, expectation, atOnce),
    judgeFix(before, withoutCounter, expectation, atOnce),
    judgeFix(before, withoutTraffic, expectation, atOnce),
    judgeFix({ ...before, seconds: 0 }, before, expectation, atOnce),
    judgeFix(measured(0, 10_000), measured(0, 10_000), expectation, atOnce),
  ].map(({ outcome }) => outcome);
  expect(new Set(outcomes)).toEqual(new Set(['unverified']));
});

test('a change for new sockets proves nothing while the old ones live', () => {
  const outcome = (dropped: number, restarted: boolean): string =>
    judgeFix(before, measured(dropped, 10_000), expectation, {
      takesEffect: 'new-sockets',
      restarted,
    }).outcome;
  expect([outcome(1000, false), outcome(0, false)]).toEqual(['unverified', 'unverified']);
  expect([outcome(1000, true), outcome(0, true)]).toEqual(['failed', 'verified']);
});

const count = fc.nat(1_000_000);
const seconds = fc.double({ min: 0.5, max: 60, noNaN: true });
const window = fc
  .tuple(count, count, seconds)
  .map(([dropped, processed, seconds]) => ({ ...measured(dropped, processed), seconds }));

test('more loss never makes the outcome better', () => {
  const badness = { verified: 0, unverified: 1, failed: 2 };
  fc.assert(
    fc.property(window, window, fc.nat(1_000_000), (first, second, more) => {
      const worse: Measurement = {
        ...second,
        rises: new Map(second.rises).set(COUNTER, (second.rises.get(COUNTER) ?? 0) + more),
      };
      const one = judgeFix(first, second, expectation, atOnce).outcome;
      const other = judgeFix(first, worse, expectation, atOnce).outcome;
      expect(badness[other]).toBeGreaterThanOrEqual(badness[one]);
    }),
  );
});

test('verified always means: traffic there, and at most a tenth of the loss per packet left', () => {
  fc.assert(
    fc.property(window, window, (first, second) => {
      const { outcome } = judgeFix(first, second, expectation, atOnce);
      if (outcome !== 'verified') return;
      const rate = (name: string, { rises, seconds }: Measurement): number =>
        (rises.get(name) ?? Number.NaN) / seconds;
      expect(rate(COUNTER, second)).toBeLessThanOrEqual(0.1 * rate(COUNTER, first));
      expect(rate(TRAFFIC, second)).toBeGreaterThanOrEqual(0.1 * rate(TRAFFIC, first));
      expect(rate(TRAFFIC, second)).toBeGreaterThan(0);
    }),
  );
});

test('any numbers at all give a judgement', () => {
  const wild = fc.record({
    seconds: fc.double(),
    rises: fc
      .array(fc.tuple(fc.constantFrom(COUNTER, TRAFFIC), fc.double()))
      .map((all) => new Map(all)),
    causes: fc.constant([]),
  });
  fc.assert(
    fc.property(wild, wild, (first, second) => {
      const { outcome, rate } = judgeFix(first, second, expectation, atOnce);
      expect(outcome === 'unverified' || (rate?.before ?? 0) > 0).toBe(true);
    }),
  );
});

test('loss that moved one layer up is named, the costliest first; old and tiny causes are not', () => {
  const cured = cause('ring', []);
  const known = cause('old', []);
  const first = measured(1000, 10_000, [cured, known]);
  const second = measured(0, 10_000, [
    cause('small', [], { packetsPerSecond: 19 }),
    cause('socket', [], { packetsPerSecond: 50 }),
    cause('backlog', [], { packetsPerSecond: 150 }),
    known,
    cause('old', [], { scope: { interface: 'eth1' }, packetsPerSecond: 20 }),
  ]);
  expect(newCauses(cured, first, second).map(({ id }) => id)).toEqual(['backlog', 'socket', 'old']);
});
