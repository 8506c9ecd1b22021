import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DropDecoder } from '../../../src/capture/drop-decoder.ts';
import { DropTable } from '../../../src/capture/drop-table.ts';
import { parseKfreeSkbLayout } from '../../../src/capture/kfree-skb.ts';
import { decodePage, parsePageLayout } from '../../../src/capture/ring-buffer.ts';
import { Window } from '../../../src/capture/window.ts';
import { fixture, valueOf } from './fixture.ts';
import { dropEvent, PageBuilder } from './page-builder.ts';

const pageLayout = valueOf(parsePageLayout(fixture('6.18', 'header_page')));
const word = Uint8Array.of(1, 2, 3, 4);
/** Above 2^32, as on any machine that is up for more than four seconds. */
const startNs = 5_000_000_000n;

function visits(page: DataView, littleEndian = true, bytes = page.byteLength) {
  const events: { timeNs: number; length: number; first: number }[] = [];
  const sound = decodePage(page, bytes, pageLayout, littleEndian, (timeNs, offset, length) => {
    events.push({ timeNs: timeNs - Number(startNs), length, first: page.getUint8(offset) });
  });
  return { sound, events };
}

describe.each([
  { endian: 'little', littleEndian: true },
  { endian: 'big', littleEndian: false },
])('$endian-endian pages', ({ littleEndian }) => {
  const build = () => new PageBuilder(pageLayout, startNs, littleEndian);

  test('events, each with its time', () => {
    const page = build().event(10, word).event(5, new Uint8Array(112).fill(7)).finish();
    expect(visits(page, littleEndian)).toEqual({
      sound: true,
      events: [
        { timeNs: 10, length: 4, first: 1 },
        { timeNs: 15, length: 112, first: 7 },
      ],
    });
  });

  test('a long event (type_len 0)', () => {
    const page = build().longEvent(3, new Uint8Array(200).fill(9)).event(1, word).finish();
    expect(visits(page, littleEndian).events).toEqual([
      { timeNs: 3, length: 200, first: 9 },
      { timeNs: 4, length: 4, first: 1 },
    ]);
  });

  test('a time extend adds, an absolute time stamp sets', () => {
    const page = build()
      .timeExtend(3_000_000_000n)
      .event(1, word)
      .timeStamp(startNs + 9_000_000_000n)
      .event(2, word)
      .finish();
    expect(visits(page, littleEndian).events.map(({ timeNs }) => timeNs)).toEqual([
      3_000_000_001, 9_000_000_002,
    ]);
  });

  test('a discarded event is skipped', () => {
    const page = build().event(1, word).discarded(1, 40).event(1, word).finish();
    expect(visits(page, littleEndian).events).toHaveLength(2);
  });

  test('padding without a time ends the page', () => {
    const page = build().event(1, word).header(29, 0).word(0).event(1, word).finish();
    expect(visits(page, littleEndian)).toMatchObject({ sound: true, events: [{ timeNs: 1 }] });
  });

  test('the flags of lost events do not belong to the length', () => {
    // RB_MISSED_EVENTS is sign-extended by local_add() on 64-bit kernels.
    const missedEvents = 0xffff_ffff_8000_0000n;
    const missedStored = 1n << 30n;
    const page = build()
      .event(1, word)
      .finish(missedEvents | missedStored);
    expect(visits(page, littleEndian)).toMatchObject({ sound: true, events: [{ timeNs: 1 }] });
  });
});

test('what lies behind the committed bytes is not read', () => {
  const page = new PageBuilder(pageLayout, startNs).event(1, word).finish();
  page.setUint32(pageLayout.dataOffset + 8, 0xffff_ffff, true);
  expect(visits(page)).toMatchObject({ sound: true, events: [{ timeNs: 1 }] });
});

test('an event that is cut off is not counted, those before it are', () => {
  const builder = new PageBuilder(pageLayout, startNs).event(1, word);
  expect(visits(builder.header(28, 1).finish())).toMatchObject({
    sound: false,
    events: [{ timeNs: 1 }],
  });
});

test('a long event that would not move on is refused', () => {
  const page = new PageBuilder(pageLayout, startNs).header(0, 1).word(0).finish();
  expect(visits(page)).toEqual({ sound: false, events: [] });
});

test('a page read in part is refused', () => {
  const page = new PageBuilder(pageLayout, startNs).event(1, word).event(1, word).finish();
  expect(visits(page, true, pageLayout.dataOffset + 8).sound).toBe(false);
  expect(visits(page, true, 4).sound).toBe(false);
});

test('garbage never throws and never reads outside the page', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 0, maxLength: 300 }),
      // A sound length, so that the walk gets beyond the header.
      fc.option(fc.nat(300)),
      fc.boolean(),
      (bytes, commit, littleEndian) => {
        const page = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        if (commit !== null && bytes.length >= 16) {
          page.setBigUint64(pageLayout.commitOffset, BigInt(commit), littleEndian);
        }
        decodePage(page, bytes.length, pageLayout, littleEndian, (timeNs, offset, length) => {
          expect(offset + length).toBeLessThanOrEqual(bytes.length);
          expect(timeNs).toBeGreaterThanOrEqual(0);
        });
      },
    ),
    { numRuns: 2000 },
  );
});

describe.each(['5.10', '6.1', '6.18'] as const)('drops of %s', (kernel) => {
  const event = valueOf(parseKfreeSkbLayout(fixture(kernel, 'format')));

  test.each([true, false])('are counted by key (little-endian: %s)', (littleEndian) => {
    const table = new DropTable();
    const decoder = new DropDecoder(
      { page: pageLayout, event },
      littleEndian,
      table,
      openWindow(0, 1e18),
    );
    const drop = { location: 0xffff_8000_1234_5678n, protocol: 0x86dd, reason: 12 };
    const page = new PageBuilder(pageLayout, startNs, littleEndian)
      .event(1, dropEvent(event, drop, littleEndian))
      .event(1, dropEvent(event, { ...drop, eventId: event.eventId + 1 }, littleEndian))
      .event(1, dropEvent(event, drop, littleEndian))
      .event(1, word)
      .finish();
    decoder.decode(page, page.byteLength);
    expect(decoder).toMatchObject({ events: 2, malformedPages: 0 });
    expect([...table.entries()]).toEqual([
      {
        locationHigh: 0xffff_8000,
        locationLow: 0x1234_5678,
        protocol: 0x86dd,
        reason: event.reasonOffset === null ? 0 : 12,
        packets: 2,
        edgePackets: 0,
      },
    ]);
  });
});

test('drops outside the marks are edge packets', () => {
  const event = valueOf(parseKfreeSkbLayout(fixture('6.18', 'format')));
  const table = new DropTable();
  const window = new Window();
  const decoder = new DropDecoder({ page: pageLayout, event }, true, table, window);
  const drop = dropEvent(event, { location: 1n, protocol: 0x0800, reason: 3 });
  const decodeAt = (timeNs: bigint) => {
    const page = new PageBuilder(pageLayout, timeNs).event(0, drop).finish();
    decoder.decode(page, page.byteLength);
    return [...table.entries()].map(({ packets, edgePackets }) => [packets, edgePackets])[0];
  };
  expect(decodeAt(900n)).toEqual([1, 1]);
  window.mark('window-open', 1000);
  expect(decodeAt(999n)).toEqual([2, 2]);
  expect(decodeAt(1000n)).toEqual([3, 2]);
  window.mark('window-close', 2000);
  expect(decodeAt(2000n)).toEqual([4, 2]);
  expect(decodeAt(2001n)).toEqual([5, 3]);
});

test('a 32-bit kernel has short addresses', () => {
  const text = fixture('6.1', 'format').replace(
    'location;\toffset:16;\tsize:8',
    'location;\toffset:12;\tsize:4',
  );
  const event = valueOf(parseKfreeSkbLayout(text));
  for (const littleEndian of [true, false]) {
    const table = new DropTable();
    const decoder = new DropDecoder({ page: pageLayout, event }, littleEndian, table, new Window());
    const drop = { location: 0xc012_3456n, protocol: 0x0800, reason: 3 };
    const page = new PageBuilder(pageLayout, startNs, littleEndian)
      .event(1, dropEvent(event, drop, littleEndian))
      .finish();
    decoder.decode(page, page.byteLength);
    expect([...table.entries()]).toMatchObject([{ locationHigh: 0, locationLow: 0xc012_3456 }]);
  }
});

function openWindow(openNs: number, closeNs: number): Window {
  const window = new Window();
  window.mark('window-open', openNs);
  window.mark('window-close', closeNs);
  return window;
}
