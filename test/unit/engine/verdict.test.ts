import { expect, test } from 'vitest';
import { exitCodeOf, verdictOf } from '../../../src/engine/verdict.ts';
import type { Report } from '../../../src/model/report.ts';
import type { Severity } from '../../../src/model/rule.ts';
import { sampleReport } from '../render/sample-report.ts';

const [sampleCause] = sampleReport.causes;

function verdict(
  severities: readonly Severity[],
  { unexplained = 0, seconds = 5, coreUnread = false } = {},
) {
  const report: Pick<Report, 'causes' | 'totals' | 'window'> = {
    causes: severities.flatMap((severity) =>
      sampleCause === undefined ? [] : [{ ...sampleCause, severity }],
    ),
    totals: { dropped: unexplained, explained: 0, benign: 0, unexplained },
    window: { startedAt: '', seconds },
  };
  return verdictOf(report, coreUnread);
}

test.each<[Severity[], { unexplained?: number; coreUnread?: boolean }, Report['verdict']]>([
  [[], {}, 'ok'],
  [[], { coreUnread: true }, 'unknown'],
  [[], { unexplained: 500 }, 'warning'],
  [[], { unexplained: 500, coreUnread: true }, 'unknown'],
  [['notice'], {}, 'ok'],
  [['notice'], { coreUnread: true }, 'unknown'],
  [['notice'], { unexplained: 500 }, 'warning'],
  [['warning'], {}, 'warning'],
  [['warning'], { coreUnread: true }, 'warning'],
  [['notice', 'critical'], {}, 'critical'],
  [['warning', 'critical'], { unexplained: 500, coreUnread: true }, 'critical'],
])('causes %j, %j: %s', (severities, more, expected) => {
  expect(verdict(severities, more)).toBe(expected);
});

test.each([
  // 20 packets and 2 a second.
  [20, 10, 'warning'],
  [19, 1, 'ok'],
  [20, 10.1, 'ok'],
  [600, 300, 'warning'],
  [599, 300, 'ok'],
  // A window that was broken off at once is no storm.
  [20, 0.001, 'warning'],
  [19, 0.001, 'ok'],
] as const)('%d unexplained drops in %d s: %s', (unexplained, seconds, expected) => {
  expect(verdict([], { unexplained, seconds })).toBe(expected);
});

test.each([
  ['ok', 'critical', 0],
  ['ok', 'warning', 0],
  ['ok', 'never', 0],
  ['warning', 'critical', 0],
  ['warning', 'warning', 1],
  ['warning', 'never', 0],
  ['critical', 'critical', 2],
  ['critical', 'warning', 2],
  ['critical', 'never', 0],
  // Could not tell is never a pass.
  ['unknown', 'critical', 3],
  ['unknown', 'warning', 3],
  ['unknown', 'never', 3],
] as const)('verdict %s with --fail-on %s exits with %d', (verdict, failOn, code) => {
  expect(exitCodeOf(verdict, failOn)).toBe(code);
});
