import type { Confidence, Scope } from '../../src/model/rule.ts';
import type { Pair } from './network.ts';
import type { Backend } from './whydrop.ts';

/** A fault made for real in a pair of namespaces, and what whydrop must say of it. */
export interface Fault {
  readonly name: string;
  /** Cause id that must be the only one. */
  readonly cause: string;
  /** Under tracefs, which does not tell namespaces, some causes are less sure. */
  readonly confidence: Confidence | Readonly<Record<Backend, Confidence>>;
  /** What else of the cause's scope must be told under each capture, beside the receiver's namespace. */
  readonly scope?: Scope;
  /** A part of the evidence under BPF: what the kernel says of the routes of these packets. */
  readonly lookup?: string;
  /** Interface that the BPF capture must tell. Default: vb. Null: none, the packets died apart from one. */
  readonly interface?: string | null;
  /** tracefs cannot tell it from normal work of a host: it must then be silent. */
  readonly onlyBpf?: true;
  /**
   * Why no other fault may be at work meanwhile: it changes a setting or reads a counter of the whole machine,
   * or tracefs knows it by its drops alone, which may then be those of a neighbour. Absent: runs beside others.
   */
  readonly alone?: string;
  /** Those that can tell this cause. Absent: all. */
  readonly captures?: readonly Backend[];
  /** Settings and programs that make the fault; undone by the pair's clean-up. */
  setUp?(pair: Pair): Promise<unknown>;
  /** Traffic that hits the fault, about a second of it: the window is as long. */
  traffic(pair: Pair): Promise<unknown>;
  /** Packets lost so far, told by another tool than whydrop. */
  lost(pair: Pair): Promise<number>;
  /**
   * They are copies or messages, no packets of the network: the rise of the cause's first observation tells how
   * many, and its packets are 0.
   */
  readonly copies?: true;
  /** A sysctl that `whydrop fix` applies. Absent: whydrop prints advice only. */
  readonly cure?: Cure;
}

export interface Cure {
  /** `--only` of whydrop fix. */
  readonly fix: string;
  /** That measures before and after; every fault is diagnosed under both. */
  readonly capture: Backend;
  /** What the administrator does after the fix (restart the service); until then it is unverified. */
  restart?(pair: Pair): Promise<unknown>;
}
