import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { byImpact, severityOf, worst } from '../../../src/engine/rank.ts';
import type { Confidence, Severity } from '../../../src/model/rule.ts';
import { cause } from './scripted.ts';

const of = (packets: number, total: number) =>
  severityOf(cause({ packets, traffic: { packets: total, what: 'packets' } }));

test.each([
  // 1 % and 20 packets.
  [20, 2000, 'critical'],
  [20, 2001, 'warning'],
  [19, 1900, 'warning'],
  [19, 19, 'warning'],
  // 0.1 % and 5 packets.
  [5, 5000, 'warning'],
  [5, 5001, 'notice'],
  [4, 4, 'notice'],
  [1_000_000, 2_000_000_000, 'notice'],
  [0, 0, 'notice'],
  // The lost ones are part of the traffic, even where its counter missed them.
  [100, 0, 'critical'],
] as const)('%d of %d packets lost: %s', (packets, total, severity) => {
  expect(of(packets, total)).toBe(severity);
});

test('where the traffic is not known, volume alone counts', () => {
  expect([4, 5, 19, 20].map((packets) => severityOf(cause({ packets })))).toEqual([
    'notice',
    'warning',
    'warning',
    'critical',
  ]);
});

test('never above what the rule allows, nor above what was lost', () => {
  const limited = (severityAtMost: Severity, packets: number) =>
    severityOf(cause({ packets, severityAtMost }));
  expect(limited('notice', 1e6)).toBe('notice');
  expect(limited('warning', 1e6)).toBe('warning');
  expect(limited('critical', 1e6)).toBe('critical');
  expect(limited('warning', 0)).toBe('notice');
  expect(limited('critical', 5)).toBe('warning');
});

test('the worst of several', () => {
  expect(worst(['notice', 'critical', 'warning'])).toBe('critical');
  expect(worst(['notice', 'warning'])).toBe('warning');
  expect(worst([])).toBe('notice');
});

interface Ranked {
  id: string;
  packets: number;
  confidence: Confidence;
  severity: Severity;
}

const ranked = (
  id: string,
  packets: number,
  confidence: Confidence,
  severity: Severity,
): Ranked => ({
  id,
  packets,
  confidence,
  severity,
});

test('notices last; packets, then confidence, then severity, then the id', () => {
  const inOrder = [
    ranked('z', 10, 'possible', 'warning'),
    ranked('z', 9, 'certain', 'warning'),
    ranked('z', 9, 'likely', 'critical'),
    ranked('z', 9, 'likely', 'warning'),
    ranked('a', 9, 'possible', 'critical'),
    ranked('b', 9, 'possible', 'critical'),
    ranked('z', 11, 'certain', 'notice'),
    ranked('a', 9, 'possible', 'notice'),
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(inOrder, { minLength: inOrder.length }), (shuffled) => {
      expect(shuffled.sort(byImpact)).toEqual(inOrder);
    }),
  );
});
