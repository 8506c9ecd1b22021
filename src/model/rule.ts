import type { AnyCheck, EvidenceOf } from './check.ts';
import type { DropFlow } from './drops.ts';
import type { Fix } from './fix.ts';

export type Checks = Readonly<Record<string, AnyCheck>>;

export type Evidence<Needs extends Checks, Wants extends Checks> = {
  readonly [Name in keyof Needs]: EvidenceOf<Needs[Name]>;
} & { readonly [Name in keyof Wants]: EvidenceOf<Wants[Name]> | undefined };

export interface Rule<Needs extends Checks = Checks, Wants extends Checks = Checks> {
  /** Cause id, for ever; the file name says the same. */
  readonly id: string;
  /** Ids by which it is known as well: of causes that were renamed, or merged into this one. */
  readonly aliases: readonly string[];
  readonly title: string;
  /** Present in judge(), or the rule is not judged. */
  readonly needs: Needs;
  /** May be undefined in judge(). */
  readonly wants: Wants;
  /** ISO date on which somebody last held this rule against a kernel. */
  readonly reviewed: string;
  readonly explain: Explanation;
  /**
   * Ids of causes that this one is a consequence of: when one of them is found, and not on another interface, this is
   * folded under it, and the packets lost here count as lost to that one.
   */
  readonly consequenceOf: readonly string[];
  judge(evidence: Evidence<Needs, Wants>, window: JudgeWindow): readonly Finding[];
}

/** Rules of different needs live in one list; the engine hands judge() exactly what the rule asked for. */
export type AnyRule = Rule;

export interface JudgeWindow {
  /** Length of the window; 0 when only settings were read. */
  readonly seconds: number;
  /** True when another network namespace than the initial one is under diagnosis. */
  readonly foreignNetns: boolean;
  /**
   * The machine has more than one network namespace. What is counted for the whole machine (softnet,
   * events of a tracepoint) may then have happened in another one.
   */
  readonly severalNetns: boolean;
  /** Interfaces the user asked for; empty: all. */
  readonly interfaces: readonly string[];
}

/** Becomes `docs/causes/<id>.md` and the explanation in the guided session. Markdown. */
export interface Explanation {
  /** What the administrator sees. */
  readonly see: string;
  /** What the kernel does, with function and version. */
  readonly kernel: string;
  /** Commands that confirm it by hand. */
  readonly confirm: string;
  /** How to fix it, and what that costs. */
  readonly fix: string;
  /** When it is normal and needs no fix. */
  readonly normal: string;
  readonly references: readonly string[];
}

export type Confidence = 'certain' | 'likely' | 'possible';
export type Severity = 'critical' | 'warning' | 'notice';

export type Finding = CauseFinding | BenignFinding;

/** A cause at work in this window. */
export interface CauseFinding {
  readonly kind: 'cause';
  readonly confidence: Confidence;
  /** Packets lost to it in the window; 0 for a risk that has not cost packets yet. */
  readonly packets: number;
  /**
   * The packets of that layer in the window, lost ones included: the engine derives the severity
   * from the share. Absent: the rule cannot tell, and volume alone counts.
   */
  readonly traffic?: { readonly packets: number; readonly what: string };
  /** The engine never goes above this (policy drops, hints). */
  readonly severityAtMost?: Severity;
  readonly scope: Scope;
  readonly because: readonly Observation[];
  /** One plain sentence. */
  readonly means: string;
  readonly rulesOut: readonly { readonly id: string; readonly because: string }[];
  readonly fixes: readonly Fix[];
  /** Captured drops that this cause accounts for. */
  readonly claims: readonly Claim[];
  /** Of these drops, the flows that are its own, where it tells those of one kind apart. Absent: all. */
  readonly flows?: readonly DropFlow[];
  /** Packets lost without a drop event: before there was an skb (NIC ring, hardware), or where the kernel traces nothing. */
  readonly beforeEvents?: true;
  /**
   * One loss shows in several counters: where this is folded under its root cause, `packets` are
   * among those of the root already.
   */
  readonly countedAgain?: true;
}

/** Packets freed on a drop path though nothing is wrong: explained, counted, never alarmed. */
export interface BenignFinding {
  readonly kind: 'benign';
  /** Why it is harmless, in one sentence. */
  readonly text: string;
  readonly claims: readonly Claim[];
}

/** Where the cause is at work. All names are as the machine gave them; renderers make them printable. */
export interface Scope {
  readonly netns?: string;
  readonly interface?: string;
  readonly cpu?: number;
  readonly process?: { readonly pid: number; readonly name: string };
  readonly socket?: string;
  readonly rule?: string;
  readonly flow?: string;
}

/** One thing that was seen. `first` and `last` are raw values, as decimal strings. */
export interface Observation {
  /** Where to look it up: `/proc/net/netstat TcpExt IPReversePathFilter`. */
  readonly source: string;
  readonly text: string;
  readonly first?: string;
  readonly last?: string;
}

/** A selection of captured drops. Fields left out match anything. */
export interface Claim {
  /** Null: only where the kernel's tracepoint has no reasons. */
  readonly reason?: string | readonly string[] | null;
  /** For kernels without reasons, or an ambiguous one: the function that freed the packet. */
  readonly location?: string | readonly string[];
  readonly protocol?: number | readonly number[];
  /**
   * Whose packets, where the capture tells (BPF); where it does not, these three match anything, so that
   * a claim that uses them should say `packets` as well.
   */
  readonly interface?: string | readonly string[];
  /** Protocol in the IP header. */
  readonly ipProtocol?: number | readonly number[];
  /** A kernel function anywhere in the stack that led to `location`. */
  readonly caller?: string | readonly string[];
  /** At most so many packets; absent: all that match. */
  readonly packets?: number;
}

/** Types judge() by the checks the rule needs and wants. */
export function defineRule<
  const Needs extends Checks,
  // oxlint-disable-next-line typescript/no-generated-empty-object-type -- a rule that wants nothing
  const Wants extends Checks = Record<never, never>,
>(
  rule: Omit<Rule<Needs, Wants>, 'wants' | 'consequenceOf' | 'aliases'> & {
    wants?: Wants;
    consequenceOf?: readonly string[];
    aliases?: readonly string[];
  },
): Rule<Needs, Wants> {
  // An absent `wants` is only possible when Wants is its default, the empty record.
  const wants = rule.wants ?? ({} as Wants);
  return { consequenceOf: [], aliases: [], ...rule, wants };
}
