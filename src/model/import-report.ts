import type { Confirmation, Judgement } from '../catalogue/locations.ts';
import type { Verdict } from './report.ts';

/**
 * What `whydrop import --json` prints: a reading of the output of another tool. Not a report: there is
 * no window, no counter that was read twice, no setting. Stable: fields are added, never renamed or
 * removed, within version 1. The JSON Schema in docs/import.schema.json is generated from this file.
 */
export interface ImportReport {
  schema: 'whydrop.import/1';
  tool: { name: 'whydrop'; version: string };
  input: {
    /** As given on the command line; `-` is standard input. */
    file: string;
    /** Kinds of output found in it. */
    formats: ImportFormat[];
    lines: number;
    /** Lines that are part of one of the formats; the others (prompts, prose) say nothing. */
    understood: number;
    /** Between the first and the last time stamp of drops; null: the input has none. */
    seconds: number | null;
    /** Whether drops come with the reason that the kernel gave (5.17 and later). */
    reasons: boolean;
  };
  /** Packets. drops = those of findings + harmless + unexplained + unresolved. */
  totals: {
    drops: number;
    findings: number;
    harmless: number;
    unexplained: number;
    unresolved: number;
  };
  /**
   * `ok`: nothing points at lost traffic. `warning`: some of it may be lost traffic. `unknown`: the input
   * cannot tell. Never `critical`: that takes a measurement.
   */
  verdict: Verdict;
  /** Ranked: what may be lost traffic first, then by packets. */
  findings: ImportFinding[];
  /** Freed on a drop path though nothing is wrong. */
  harmless: ImportFinding[];
  /** Functions that whydrop knows nothing about. */
  unexplained: ImportedDrop[];
  /** Addresses without a function that covers them. */
  unresolved: UnresolvedDrop[];
  /** Totals since the counters began, of each interface. No fault follows from them. */
  history: InterfaceHistory[];
  /** What to keep in mind. */
  notes: string[];
  /** What the input cannot tell. */
  missing: string[];
  /** What to run next on that machine, the most useful first. */
  next: Confirmation[];
}

export type ImportFormat =
  'dropwatch' | 'perf script' | 'trace_pipe' | 'retis' | 'netstat -i' | 'ip -s link';

export interface ImportFinding {
  /** One line. */
  title: string;
  judgement: Judgement;
  packets: number;
  /** Of totals.drops, 0 to 1. */
  share: number;
  means: string;
  /** Ids of the causes it may be, the likeliest first. */
  causes: readonly string[];
  /** What tells them apart. */
  confirm: readonly Confirmation[];
  /** Where they were freed, most packets first. */
  drops: ImportedDrop[];
}

export interface ImportedDrop {
  /** Null: the input has none. */
  reason: string | null;
  /** Kernel function without offset and compiler suffixes; of drops in hardware the name of the trap. */
  location: string;
  module?: string;
  /** EtherType. Null: the input does not tell. */
  protocol: number | null;
  interfaces: string[];
  /** Where they were going, most packets first, as far as the input tells; at most ten. */
  destinations: (Destination & { packets: number })[];
  packets: number;
}

export interface Destination {
  /** `TCP`, `UDP`, `ICMP` … as the input calls it. */
  protocol: string;
  address: string;
  port?: number;
  /** The first packet of a TCP connection (SYN without ACK). */
  opens?: true;
}

export interface UnresolvedDrop {
  /** `0xffffffffa0a1d938` */
  address: string;
  /** The part of the kernel the address lies in, as far as that can be said; `hidden`: it is no address, but a hash. */
  area: 'core' | 'module' | 'hidden' | 'unknown';
  /** The symbol that the other tool printed for it, and that cannot be right: `__brk_limit+0x1e6c5938`. */
  refuted?: string;
  packets: number;
}

export interface InterfaceHistory {
  interface: string;
  rx: InterfaceCounters;
  tx: InterfaceCounters;
  /** The change from the first reading of this interface to the last, where the input has several. */
  rise?: { rx: InterfaceCounters; tx: InterfaceCounters };
}

export interface InterfaceCounters {
  packets: number;
  errors: number;
  dropped: number;
  /** Frames the receive ring or the FIFO had no room for. Null: not in the input, or within `dropped`. */
  overruns: number | null;
}

/** May be lost traffic. */
export function isSuspect({ judgement }: Pick<ImportFinding, 'judgement'>): boolean {
  return judgement === 'loss' || judgement === 'depends';
}

export function hasLost({ rx, tx }: Pick<InterfaceHistory, 'rx' | 'tx'>): boolean {
  return lossOf(rx) + lossOf(tx) > 0;
}

/** Packets that the counters call lost. */
export function lossOf({ errors, dropped, overruns }: InterfaceCounters): number {
  return errors + dropped + (overruns ?? 0);
}
