import { expect, test } from 'vitest';
import rule from '../../../rules/cpu/softnet-squeeze.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import { causesOf, softnetRise, window, type CpuRise } from './evidence.ts';

function judge(cpus: readonly CpuRise[], seconds = 5) {
  return causesOf(rule.judge({ softnet: softnetRise(cpus) }, { ...window, seconds }))[0];
}

test('a squeeze is a hint, never a loss, and nothing to fix by itself', () => {
  const finding = judge([{ timeSqueeze: 20 }, { timeSqueeze: 80 }]);
  expect(finding).toMatchObject({
    confidence: 'possible',
    packets: 0,
    scope: { cpu: 1 },
    fixes: [],
    claims: [],
  });
  expect(finding && severityOf(finding)).toBe('notice');
});

test('more than ten a second, on all CPUs together', () => {
  expect(judge([{ timeSqueeze: 50 }])).toBeUndefined();
  expect(judge([{ timeSqueeze: 51 }])).toBeDefined();
  expect(judge([{ timeSqueeze: 26 }, { timeSqueeze: 25 }])).toBeDefined();
  expect(judge([{ timeSqueeze: 51 }], 5.1)).toBeUndefined();
});

test('a window without length has no rate', () => {
  expect(judge([{ timeSqueeze: 1000 }], 0)).toBeUndefined();
});

test('beside a real loss it is a consequence', () => {
  expect(rule.consequenceOf).toEqual(
    expect.arrayContaining(['nic-rx-ring', 'softnet-backlog', 'cpu-softirq-saturation']),
  );
});
