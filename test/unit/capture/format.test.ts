import { expect, test } from 'vitest';
import * as fc from 'fast-check';
import { parseFields } from '../../../src/capture/event-format.ts';
import { parseKfreeSkbLayout } from '../../../src/capture/kfree-skb.ts';
import { parsePageLayout } from '../../../src/capture/ring-buffer.ts';
import { parseReasonNames, reasonName } from '../../../src/capture/reasons.ts';
import { fixture, valueOf } from './fixture.ts';

test.each([
  { kernel: '5.10', eventId: 1203, locationOffset: 16, protocolOffset: 24, reasonOffset: null },
  { kernel: '6.1', eventId: 1319, locationOffset: 16, protocolOffset: 24, reasonOffset: 28 },
  { kernel: '6.12', eventId: 1461, locationOffset: 16, protocolOffset: 32, reasonOffset: 36 },
  { kernel: '6.18', eventId: 2310, locationOffset: 16, protocolOffset: 32, reasonOffset: 36 },
] as const)('finds the fields of kfree_skb on $kernel', ({ kernel, ...expected }) => {
  const layout = valueOf(parseKfreeSkbLayout(fixture(kernel, 'format')));
  expect(layout).toMatchObject({ typeOffset: 0, locationBytes: 8, ...expected });
  expect(layout.minBytes).toBe(
    expected.reasonOffset === null ? expected.protocolOffset + 2 : expected.reasonOffset + 4,
  );
});

test.each([
  // The same number means something else on each kernel, and the same name has another number.
  { kernel: '6.1', two: 'NO_SOCKET', rpFilter: 11 },
  { kernel: '6.12', two: 'NOT_SPECIFIED', rpFilter: 15 },
  { kernel: '6.18', two: 'NOT_SPECIFIED', rpFilter: 16 },
] as const)('names reasons as $kernel does', ({ kernel, two, rpFilter }) => {
  const { reasonNames } = valueOf(parseKfreeSkbLayout(fixture(kernel, 'format')));
  expect(reasonName(2, reasonNames)).toBe(two);
  expect(reasonName(rpFilter, reasonNames)).toBe('IP_RPFILTER');
});

test('a kernel without reasons has no names', () => {
  const { reasonNames } = valueOf(parseKfreeSkbLayout(fixture('5.10', 'format')));
  expect(reasonNames.size).toBe(0);
});

test('takes the table of the reason field, not another one', () => {
  const names = parseReasonNames(
    '"%s %s", __print_symbolic(REC->state, { 2, "WRONG" }), __print_symbolic(REC->reason, { 0x2, "RIGHT" }, { 3, "ALSO" })',
  );
  expect([...names]).toEqual([
    [2, 'RIGHT'],
    [3, 'ALSO'],
  ]);
});

test('numbers what has no name', () => {
  const names = new Map([[3, 'NO_SOCKET']]);
  expect(reasonName(200, names)).toBe('reason 200');
  expect(reasonName(0, names)).toBe('reason 0');
  expect(reasonName(0x0002_0003, names)).toBe('subsystem 2 reason 3');
  expect(reasonName(0xffff_0001, names)).toBe('subsystem 65535 reason 1');
});

test('reads the page header', () => {
  expect(valueOf(parsePageLayout(fixture('6.18', 'header_page')))).toEqual({
    timestampOffset: 0,
    commitOffset: 8,
    commitBytes: 8,
    dataOffset: 16,
    pageBytes: 4096,
  });
});

test('reads the page header of 32-bit kernels and of bigger pages', () => {
  const text = fixture('6.18', 'header_page')
    .replaceAll('size:8;\tsigned:1', 'size:4;\tsigned:1')
    .replace('offset:16;\tsize:4080', 'offset:12;\tsize:65524');
  expect(valueOf(parsePageLayout(text))).toMatchObject({
    commitBytes: 4,
    dataOffset: 12,
    pageBytes: 65536,
  });
});

test('names fields without type and array bounds', () => {
  const fields = parseFields(
    '\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\tfield:const void * at;\toffset:24;\tsize:8;\tsigned:0;\n',
  );
  expect([...fields]).toEqual([
    ['comm', { offset: 8, size: 16 }],
    ['at', { offset: 24, size: 8 }],
  ]);
});

test.each(['common_type', 'location', 'protocol'])('refuses a format without %s', (field) => {
  const text = fixture('6.18', 'format').replace(`${field};`, 'renamed;');
  expect(parseKfreeSkbLayout(text).status).toBe('malformed');
});

test('refuses fields of an unknown size', () => {
  const text = fixture('6.18', 'format').replace('offset:36;\tsize:4', 'offset:36;\tsize:8');
  expect(parseKfreeSkbLayout(text).status).toBe('malformed');
});

test('garbage is malformed, never an exception', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      expect(parseKfreeSkbLayout(text).status).toBe('malformed');
      expect(parsePageLayout(text).status).toBe('malformed');
      parseReasonNames(text);
    }),
  );
});
