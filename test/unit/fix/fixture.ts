import type { MeasuredCause, Measurement } from '../../../src/fix/judge.ts';
import type { FixRunOptions } from '../../../src/fix/run.ts';
import type { Report, ReportCause, ReportFix, ReportStep } from '../../../src/model/report.ts';

export const COUNTER = 'softnet dropped';
export const TRAFFIC = 'softnet processed';

export function sysctl(key: string, from: string, to: string, hostWide = false): ReportStep {
  return { kind: 'sysctl', key, from, to, hostWide, command: `sysctl -w ${key}=${to}` };
}

export function fix(id: string, steps: ReportStep[], more: Partial<ReportFix> = {}): ReportFix {
  return {
    id,
    title: `do ${id}`,
    risk: 'safe',
    cost: 'none',
    takesEffect: 'at-once',
    expect: { counter: COUNTER, change: 'stops-rising', traffic: TRAFFIC },
    steps,
    ...more,
  };
}

export function cause(
  id: string,
  fixes: ReportFix[],
  more: Partial<ReportCause> = {},
): ReportCause {
  return {
    rank: 1,
    id,
    title: `cause ${id}`,
    severity: 'critical',
    confidence: 'certain',
    packets: 1000,
    packetsPerSecond: 200,
    share: 1,
    scope: {},
    because: [],
    means: '',
    rulesOut: [],
    fixes,
    consequences: [],
    ...more,
  };
}

export function report(causes: ReportCause[], recorded = false): Report {
  return {
    schema: 'whydrop.report/1',
    tool: { name: 'whydrop', version: '0' },
    host: { hostname: 'h', kernel: '6.18', distribution: '', recorded, root: true },
    window: { startedAt: '2026-11-21T23:00:00.000Z', seconds: 5 },
    scope: { netns: [], interfaces: [] },
    capture: { backend: 'none', events: 0, lost: 0, unavailable: [] },
    totals: { dropped: 0, explained: 0, benign: 0, unexplained: 0 },
    verdict: 'critical',
    causes,
    benign: [],
    unexplained: [],
    elsewhere: { packets: 0, text: '', drops: [] },
    reconciliation: [],
    uncounted: [],
    notJudged: [],
    suppressed: [],
    crashed: [],
    checks: [],
    notes: [],
  };
}

export function measured(
  dropped: number,
  processed: number,
  causes: readonly MeasuredCause[] = [],
): Measurement {
  return {
    seconds: 5,
    rises: new Map([
      [COUNTER, dropped],
      [TRAFFIC, processed],
    ]),
    causes,
  };
}

/** Says yes to everything; the second measurement is `after`. */
export function agreeing(
  causes: readonly MeasuredCause[],
  after: Measurement,
  more: Partial<FixRunOptions> = {},
): FixRunOptions {
  return {
    confirm: async () => await Promise.resolve(true),
    before: measured(1000, 10_000, causes),
    measure: async () => await Promise.resolve(after),
    ...more,
  };
}
