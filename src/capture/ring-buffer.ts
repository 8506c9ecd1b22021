import { ok, unread, type Reading } from '../model/reading.ts';
import { parseFields } from './event-format.ts';

/** The header of a ring-buffer page as `trace_pipe_raw` hands it out; offsets in bytes. */
export interface PageLayout {
  readonly timestampOffset: number;
  readonly commitOffset: number;
  readonly commitBytes: 4 | 8;
  readonly dataOffset: number;
  /** Header and data together: one page of the kernel, 4096 on most. */
  readonly pageBytes: number;
}

/** @param text `events/header_page` of tracefs. */
export function parsePageLayout(text: string): Reading<PageLayout> {
  const fields = parseFields(text);
  const timestamp = fields.get('timestamp');
  const commit = fields.get('commit');
  const data = fields.get('data');
  if (
    timestamp?.size !== 8 ||
    (commit?.size !== 4 && commit?.size !== 8) ||
    data === undefined ||
    data.size === 0
  ) {
    return unread(
      'malformed',
      'The layout of the trace buffer (events/header_page) is not one whydrop knows. Please report your kernel version.',
    );
  }
  return ok({
    timestampOffset: timestamp.offset,
    commitOffset: commit.offset,
    commitBytes: commit.size,
    dataOffset: data.offset,
    pageBytes: data.offset + data.size,
  });
}

// include/linux/ring_buffer.h: enum ring_buffer_type.
const typePadding = 29;
const typeTimeExtend = 30;
const typeTimeStamp = 31;
const timeDeltaBits = 27;
const timeDeltaMask = 2 ** timeDeltaBits - 1;
/** Above these bits `commit` says that events were lost (RB_MISSED_EVENTS); `stats` counts them exactly. */
const commitMask = 2 ** timeDeltaBits - 1;

/**
 * Called per event. Times are nanoseconds of the instance's trace clock. As a double they are exact
 * for 104 days of uptime, and within some nanoseconds for years: enough to hold against a mark.
 */
export type VisitEvent = (timeNs: number, offset: number, length: number) => void;

/**
 * Walks the events of one page in order.
 *
 * @param bytes how much of `page` was read
 * @returns false where the page does not add up; the events before that place were visited
 */
export function decodePage(
  page: DataView,
  bytes: number,
  layout: PageLayout,
  littleEndian: boolean,
  visit: VisitEvent,
): boolean {
  if (bytes < layout.dataOffset || bytes > page.byteLength) return false;
  const word = (offset: number) => page.getUint32(offset, littleEndian);

  const lowWord = littleEndian ? 0 : 4;
  let timeNs =
    word(layout.timestampOffset + 4 - lowWord) * 2 ** 32 + word(layout.timestampOffset + lowWord);
  const commitOffset = layout.commitOffset + (littleEndian ? 0 : layout.commitBytes - 4);
  const end = layout.dataOffset + (word(commitOffset) & commitMask);
  if (end > bytes) return false;

  let offset = layout.dataOffset;
  while (offset + 4 <= end) {
    const header = word(offset);
    // C bit fields: the first one (type_len) is at the low end on little-endian, at the high end on big-endian.
    const type = littleEndian ? header & 31 : header >>> timeDeltaBits;
    const timeDelta = littleEndian ? header >>> 5 : header & timeDeltaMask;

    // Types 1 to 28 are the length of the data in words.
    if (type > 0 && type < typePadding) {
      const length = type * 4;
      const next = offset + 4 + length;
      if (next > end) return false;
      timeNs += timeDelta;
      visit(timeNs, offset + 4, length);
      offset = next;
      continue;
    }

    // The rest of the page is empty (rb_null_event).
    if (type === typePadding && timeDelta === 0) return true;

    if (offset + 8 > end) return false;
    const second = word(offset + 4);
    if (type === typeTimeExtend) {
      timeNs += second * 2 ** timeDeltaBits + timeDelta;
      offset += 8;
    } else if (type === typeTimeStamp) {
      // 59 bits of the clock. The kernel takes the upper five from the page (rb_fix_abs_ts): 0 for 18 years.
      timeNs = second * 2 ** timeDeltaBits + timeDelta;
      offset += 8;
    } else {
      // A discarded or a long event: the second word is its length, that word included.
      const next = offset + 4 + second;
      if (second < 4 || next > end) return false;
      if (type === 0) {
        timeNs += timeDelta;
        visit(timeNs, offset + 8, second - 4);
      }
      offset = next;
    }
  }
  return true;
}
