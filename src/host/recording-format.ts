import type { DropCapture } from '../model/drops.ts';
import type { CommandOutput, HostFacts, Phase } from '../model/host.ts';
import type { Reading } from '../model/reading.ts';

/**
 * A recording is JSON lines: a header, then one line per reading and per wait in the order in which
 * they ended, then an end. Names that end in `.gz` are compressed.
 */
export const RECORDING_FORMAT = 'whydrop.recording/1';

/** Decompressed, and compressed. A replay refuses more, so save() writes no more. */
export const MAX_RECORDING_BYTES = 512 * 1024 * 1024;

/** One line. The largest honest ones hold a file of 64 MiB, or the sockets of a very busy host. */
export const MAX_LINE_BYTES = 256 * 1024 * 1024;

export interface RecordingHeader {
  readonly format: typeof RECORDING_FORMAT;
  readonly toolVersion: string;
  readonly facts: HostFacts;
  /** False: the namespace under diagnosis is the initial one, and both views are the same. */
  readonly foreignNetns: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Length of the window that was asked for; 0 when only settings were read. */
  readonly seconds: number;
  /** What else the user asked for (interfaces, capture …), for whoever replays it. */
  readonly options: RecordedOptions;
}

export type RecordedOptions = Readonly<
  Record<string, string | number | boolean | null | readonly string[]>
>;

/** `namespace`: the one under diagnosis. */
export type ViewName = 'namespace' | 'initial';

/** Readings of several files are kept one by one: a replay may ask for them in other groups. */
export type RecordedReading = { readonly phase: Phase; readonly view: ViewName } & (
  | { readonly op: 'file'; readonly key: string; readonly result: Reading<string> }
  | { readonly op: 'list'; readonly key: string; readonly result: Reading<readonly string[]> }
  | { readonly op: 'run'; readonly key: readonly string[]; readonly result: Reading<CommandOutput> }
  | {
      readonly op: 'kernel-log';
      readonly key: 'new';
      readonly result: Reading<readonly string[]>;
    }
  | { readonly op: 'capture-start'; readonly key: 'drops'; readonly result: Reading<null> }
  | { readonly op: 'capture-stop'; readonly key: 'drops'; readonly result: Reading<DropCapture> }
);

/** A wait of the window, on the clock of Host.now() in milliseconds. */
export interface RecordedWait {
  readonly op: 'wait';
  readonly from: number;
  readonly to: number;
}

/** Tells a whole recording from one that was cut off. */
export interface RecordingEnd {
  readonly op: 'end';
}

export type RecordingLine = RecordedReading | RecordedWait | RecordingEnd;
