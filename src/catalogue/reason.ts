import type { Harmless } from './harmless.ts';

/**
 * What a drop reason of the kernel means. The truth is the comment beside each reason in
 * include/net/dropreason-core.h (and -qdisc.h, net/mac80211/drop.h, net/openvswitch/drop.h).
 */
export type Reason = Harmless & {
  /** As the tracepoint prints it: `IP_RPFILTER`, without `SKB_DROP_REASON_`. */
  readonly name: string;
  /** Names that other kernels have for the same decision. */
  readonly aliases?: readonly string[];
  /** One line, for lists and for a line of the report. */
  readonly title: string;
  /** What the kernel decided, in one or two sentences. */
  readonly meaning: string;
  /** Ids of causes that show as this reason, the usual one first. */
  readonly causes: readonly string[];
  /**
   * The Linux release in which it was first seen; earlier ones may have it, and vendors backport
   * reasons. To explain with, never to decide by. Absent: in no release.
   */
  readonly since?: string;
  /** Keys of counters (`Udp.RcvbufErrors`) that rise with it. Absent: none is known to. */
  readonly counters?: readonly string[];
};
