import { ok, unread, type Reading } from '../model/reading.ts';
import { parseEventFormat, type Field } from './event-format.ts';
import { parseReasonNames, type ReasonNames } from './reasons.ts';

/** Where the running kernel keeps the fields of a `skb:kfree_skb` event; offsets in bytes. */
export interface KfreeSkbLayout {
  readonly eventId: number;
  readonly typeOffset: number;
  readonly locationOffset: number;
  /** Size of a kernel pointer. */
  readonly locationBytes: 4 | 8;
  readonly protocolOffset: number;
  /** Null before 5.17 (and its backports): the tracepoint gives no reason. */
  readonly reasonOffset: number | null;
  /** A shorter event cannot hold the fields above. */
  readonly minBytes: number;
  readonly reasonNames: ReasonNames;
}

/**
 * @param text `events/skb/kfree_skb/format`. Its fields move: `reason` came in 5.17, `rx_sk` in 6.11
 *   before `protocol`, and distributions carry both back, so offsets are never assumed.
 */
export function parseKfreeSkbLayout(text: string): Reading<KfreeSkbLayout> {
  const format = parseEventFormat(text);
  const type = format?.fields.get('common_type');
  const location = format?.fields.get('location');
  const protocol = format?.fields.get('protocol');
  const reason = format?.fields.get('reason');
  if (
    format === undefined ||
    type?.size !== 2 ||
    location === undefined ||
    (location.size !== 4 && location.size !== 8) ||
    protocol?.size !== 2 ||
    (reason !== undefined && reason.size !== 4)
  ) {
    return unread(
      'malformed',
      'The format of the trace event skb:kfree_skb is not one whydrop knows. Please report your kernel version.',
    );
  }
  const used: readonly Field[] = [type, location, protocol, ...(reason ? [reason] : [])];
  return ok({
    eventId: format.id,
    typeOffset: type.offset,
    locationOffset: location.offset,
    locationBytes: location.size,
    protocolOffset: protocol.offset,
    reasonOffset: reason?.offset ?? null,
    minBytes: Math.max(...used.map(({ offset, size }) => offset + size)),
    reasonNames: parseReasonNames(format.printFormat),
  });
}
