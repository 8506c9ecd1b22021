import {
  defineCheck,
  defineWatch,
  type AnyCheck,
  type SampledCheck,
  type WatchedCheck,
} from '../../../src/model/check.ts';
import type { DropCapture, DropCount } from '../../../src/model/drops.ts';
import type { Host, HostFacts } from '../../../src/model/host.ts';
import { ok, type Reading } from '../../../src/model/reading.ts';
import type {
  BenignFinding,
  CauseFinding,
  Checks,
  Finding,
  Rule,
} from '../../../src/model/rule.ts';
import { fakeHost } from '../checks/fake-host.ts';

/** A host whose clock goes only where it is told to, with a log of what happened in which order. */
export interface ClockHost extends Host {
  readonly log: string[];
  /** What a check does while it takes its time. */
  pass(ms: number): void;
}

export function clockHost(facts: Partial<HostFacts> = {}): ClockHost {
  const log: string[] = [];
  // Not 0: nobody may take the clock for the length of the window.
  let now = 1_000_000;
  const fake = fakeHost({ facts });
  const host: ClockHost = {
    ...fake,
    get initial() {
      return fake.initial === fake ? host : fake.initial;
    },
    log,
    pass: (ms) => {
      now += ms;
    },
    beginPhase: (phase) => {
      log.push(`phase ${phase}`);
    },
    now: () => now,
    wait: (ms, signal) => {
      if (signal?.aborted !== true) now += Math.max(0, ms);
      return Promise.resolve();
    },
  };
  return host;
}

export const quick = {
  seconds: 5,
  capture: 'auto',
  interfaces: [],
} as const;

type Script = Readonly<Record<'first' | 'last', bigint>>;

/** A check of counters that reads these values at the ends of the window. */
export function counting(
  counters: Readonly<Record<string, Script>>,
  more: Partial<SampledCheck<ReadonlyMap<string, bigint>>> = {},
): SampledCheck<ReadonlyMap<string, bigint>> {
  return defineCheck<ReadonlyMap<string, bigint>>({
    id: 'counts',
    title: '',
    sources: [],
    read: (_, { phase }) => {
      const end = phase === 'first' ? 'first' : 'last';
      const values = Object.entries(counters).map(([name, ends]) => [name, ends[end]] as const);
      return Promise.resolve(ok(new Map(values)));
    },
    counters: (value) => value,
    ...more,
  });
}

/** A check that gives this reading whenever it is asked. */
export function reading<Value>(
  id: string,
  value: Reading<Value>,
  more: Partial<SampledCheck<Value>> = {},
): SampledCheck<Value> {
  return defineCheck<Value>({
    id,
    title: '',
    sources: [],
    read: () => Promise.resolve(value),
    ...more,
  });
}

export function capturing(
  value: Reading<DropCapture>,
  more: Partial<WatchedCheck<DropCapture>> = {},
): WatchedCheck<DropCapture> {
  return defineWatch<DropCapture>({
    id: 'drops',
    title: '',
    sources: [],
    core: true,
    start: () => Promise.resolve(ok({ mark: () => undefined, stop: () => Promise.resolve(value) })),
    ...more,
  });
}

export function captureOf(drops: readonly Partial<DropCount>[]): DropCapture {
  const counts = drops.map((drop) => dropOf(drop));
  return {
    backend: 'tracefs',
    events: counts.reduce((sum, { packets }) => sum + packets, 0),
    lost: 0,
    hasReasons: true,
    drops: counts,
  };
}

export function dropOf(drop: Partial<DropCount>): DropCount {
  return {
    reason: 'NO_SOCKET',
    location: 'tcp_v4_rcv',
    protocol: 0x0800,
    packets: 1,
    edgePackets: 0,
    ...drop,
  };
}

export function cause(finding: Partial<CauseFinding> = {}): CauseFinding {
  return {
    kind: 'cause',
    confidence: 'certain',
    packets: 0,
    scope: {},
    because: [],
    means: '',
    rulesOut: [],
    fixes: [],
    claims: [],
    ...finding,
  };
}

export function benign(finding: Partial<BenignFinding> = {}): BenignFinding {
  return { kind: 'benign', text: 'harmless', claims: [], ...finding };
}

/** A rule that always finds the same. */
export function ruleOf(id: string, findings: readonly Finding[], more: Partial<Rule> = {}): Rule {
  return {
    id,
    title: `Title of ${id}`,
    needs: {},
    wants: {},
    reviewed: '2026-11-22',
    explain: { see: '', kernel: '', confirm: '', fix: '', normal: '', references: [] },
    aliases: [],
    consequenceOf: [],
    judge: () => findings,
    ...more,
  };
}

export function needing(...checks: readonly AnyCheck[]): Checks {
  return Object.fromEntries(checks.map((check) => [check.id, check]));
}
