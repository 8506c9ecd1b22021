/**
 * What came of an attempt to look. Could-not-look is a value, never an exception and never a pass:
 *
 * - `absent`: the file, tool or kernel feature is not there
 * - `denied`: it is there, we may not read it
 * - `timeout`: it did not answer within the check's time limit
 * - `malformed`: it answered with something we cannot parse
 * - `not-applicable`: it cannot matter here (no such interface, excluded by an option)
 * - `crashed`: our own code failed
 */
export type Reading<Value> =
  { readonly status: 'ok'; readonly value: Value; readonly notes?: readonly string[] } | Unread;

export interface Unread {
  readonly status: UnreadStatus;
  /** One plain sentence that says what could not be read, and what would help. */
  readonly reason: string;
  /** Where there are several ways to look: why each was not possible, in the order tried. */
  readonly tried?: readonly { readonly way: string; readonly reason: string }[];
}

export type UnreadStatus =
  'absent' | 'denied' | 'timeout' | 'malformed' | 'not-applicable' | 'crashed';

/** @param notes partial trouble (one garbled line of many) that the report should mention. */
export function ok<Value>(value: Value, notes: readonly string[] = []): Reading<Value> {
  return notes.length === 0 ? { status: 'ok', value } : { status: 'ok', value, notes };
}

export function unread(status: UnreadStatus, reason: string): Unread {
  return { status, reason };
}
