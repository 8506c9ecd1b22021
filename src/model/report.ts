import type { Fix, FixStep } from './fix.ts';
import type { Confidence, Observation, Scope, Severity } from './rule.ts';
import type { UnreadStatus } from './reading.ts';

/**
 * The report, version 1: what `--json` prints. Stable: fields are added, never renamed or removed,
 * within version 1. The JSON Schema in docs/report.schema.json is generated from this file.
 * Raw 64-bit counters are decimal strings; deltas and rates are numbers.
 */
export interface Report {
  schema: 'whydrop.report/1';
  tool: { name: 'whydrop'; version: string };
  host: {
    hostname: string;
    kernel: string;
    distribution: string;
    recorded: boolean;
    /** Whether whydrop ran as root. */
    root: boolean;
  };
  window: {
    /** ISO 8601. */
    startedAt: string;
    seconds: number;
  };
  scope: { netns: string[]; interfaces: string[] };
  capture: {
    /** Which live capture was used. */
    backend: 'bpf' | 'tracefs' | 'none';
    events: number;
    /** Events the kernel dropped before whydrop could read them: counts are then lower bounds. */
    lost: number;
    unavailable: { backend: string; reason: string }[];
  };
  /** Packets in the window. dropped = explained + benign + unexplained. */
  totals: ReportTotals;
  verdict: Verdict;
  /** Ranked: notices last; packets lost, then confidence, then severity. */
  causes: ReportCause[];
  benign: ({ id: string; packets: number; text: string } & Whereabouts)[];
  unexplained: ReportDrops[];
  /** Drops on this host that cannot be placed in the namespace under diagnosis. They do not count in totals. */
  elsewhere: { packets: number; text: string; drops: ReportDrops[] };
  /** With `--netns all`: each network namespace, the worst first. Their totals add up to `totals`. */
  namespaces?: ReportNamespace[];
  /** Counters of loss that rose, and how much of each rise was seen as drop events. */
  reconciliation: {
    /** With `--netns all`: where the counter rose; absent for the machine itself. */
    netns?: string;
    counter: string;
    rise: number;
    byEvents: number;
    /** Lost without a drop event: before a packet existed for the tracer (NIC ring, hardware), or where the kernel traces nothing. */
    beforeEvents: number;
  }[];
  /** The other way round: captured drops for which no counter of loss rose, harmless ones included. */
  uncounted: ReportDrops[];
  notJudged: {
    rule: string;
    missing: string[];
    /** With `--netns all`: in these only. */
    namespaces?: (string | null)[];
  }[];
  suppressed: { id: string; reason: string }[];
  /** Rules or checks of ours that failed: please report them. */
  crashed: { id: string; error: string }[];
  checks: {
    id: string;
    /** Without it no verdict is possible: unread, it makes the verdict `unknown`. */
    core?: true;
    status: 'ok' | UnreadStatus;
    reason?: string;
    notes?: string[];
    /** Of all namespaces together. */
    tookMs: number;
    /** With `--netns all`: in these only. */
    namespaces?: (string | null)[];
  }[];
  /** Things that do not belong to one check: counters that went down, namespaces that cannot be told apart. */
  notes: string[];
}

export interface ReportTotals {
  dropped: number;
  explained: number;
  benign: number;
  unexplained: number;
}

export type Verdict = 'ok' | 'warning' | 'critical' | 'unknown';

export interface ReportCause {
  rank: number;
  id: string;
  title: string;
  severity: Severity;
  confidence: Confidence;
  /** Those of its consequences included. */
  packets: number;
  packetsPerSecond: number;
  /** Of totals.dropped, 0 to 1. */
  share: number;
  scope: Scope;
  because: readonly Observation[];
  means: string;
  rulesOut: readonly { readonly id: string; readonly because: string }[];
  fixes: ReportFix[];
  /** Causes that follow from this one and need no action of their own. */
  consequences: { id: string; title: string; packets: number; means: string }[];
}

export interface ReportFix extends Omit<Fix, 'steps'> {
  steps: ReportStep[];
}

/** A step with the exact line an administrator would type. */
export type ReportStep = FixStep & { readonly command: string };

/** One network namespace of a machine. */
export interface ReportNamespace {
  /** As in `scope.netns` of its causes. Null: the initial one, which stands for the machine itself. */
  name: string | null;
  /** What `--netns` takes to diagnose it alone. Null: nothing, whydrop runs there; or it is gone. */
  netns: string | null;
  /** Inode number: `ls -L -i /run/netns/NAME`. */
  inode: number;
  verdict: Verdict;
  totals: ReportTotals;
  /** Of `totals.dropped`, those of no known namespace: the packet had neither interface nor socket. */
  ofNoNamespace?: number;
  /** Why nothing was read there. What died there, as far as the capture tells, is in `elsewhere`. */
  unread?: string;
}

export interface ReportDrops extends Whereabouts {
  /** With `--netns all`: where; absent for the machine itself, and where it cannot be told. */
  netns?: string;
  /** Null on kernels without drop reasons. */
  reason: string | null;
  location: string;
  protocol: number;
  packets: number;
}

/** Where packets died and whose they were, as far as the capture knows (BPF). */
export interface Whereabouts {
  /** The interface that (nearly) all of them came by or were to leave by; untrusted. */
  interface?: string;
  /** The busiest flows, most packets first. */
  flows?: ReportFlow[];
}

export interface ReportFlow {
  /** `UDP 10.0.0.1:4000 → 10.0.0.2:53`, `ARP request 10.0.0.1 → 10.0.0.2`. */
  flow: string;
  packets: number;
  /** Not every packet's flow was looked at. */
  approximate?: boolean;
}
