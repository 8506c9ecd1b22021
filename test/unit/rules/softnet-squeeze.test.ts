import { expect, test } from 'vitest';
import rule from '../../../rules/cpu/softnet-squeeze.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import { causesOf, softnetRise, window, type CpuRise } from './evidence.ts';
import { cpuTimes, type CpuLoad } from './example.ts';

function judge(cpus: readonly CpuRise[], seconds = 20, loads?: readonly CpuLoad[]) {
  const cpu = loads === undefined ? undefined : cpuTimes(loads);
  return causesOf(rule.judge({ softnet: softnetRise(cpus), cpu }, { ...window, seconds }))[0];
}

test('a squeeze is a hint, never a loss, and nothing to fix by itself', () => {
  const finding = judge([{ timeSqueeze: 20 }, { timeSqueeze: 280 }]);
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
  expect(judge([{ timeSqueeze: 200 }])).toBeUndefined();
  expect(judge([{ timeSqueeze: 201 }])).toBeDefined();
  expect(judge([{ timeSqueeze: 101 }, { timeSqueeze: 100 }])).toBeDefined();
  expect(judge([{ timeSqueeze: 201 }], 20.1)).toBeUndefined();
});

test.each([0, 1, 5, 10])('in %d s as many as in ten: a burst is no mean of a minute', (seconds) => {
  expect(judge([{ timeSqueeze: 100 }], seconds)).toBeUndefined();
  expect(judge([{ timeSqueeze: 101 }], seconds)).toBeDefined();
});

test('the hypervisor had the time: no hint', () => {
  const many = [{ timeSqueeze: 1000 }];
  expect(judge(many, 20, [{}, { steal: 100 }])).toBeUndefined();
  expect(judge(many, 20, [{}, { steal: 5 }])).toBeDefined();
});

test('beside a real loss it is a consequence', () => {
  expect(rule.consequenceOf).toEqual(
    expect.arrayContaining(['nic-rx-ring', 'softnet-backlog', 'cpu-softirq-saturation']),
  );
});
