import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ascii, printable, printableCommand } from '../../../src/render/printable.ts';

test.each([
  ['eth0', 'eth0'],
  ['\u001b[31meth0\u001b[0m', 'eth0'],
  ['\u001b]0;owned\u0007eth0', 'eth0'],
  ['\u009b2Jeth0', 'eth0'],
  ['et\u0000h\u007f0', 'eth0'],
  ['\u202eeth0\u2066', 'eth0'],
  ['e\u200bth\ufeff0\u00ad', 'eth0'],
  ['two\r\nlines\tand\u00a0more\u2028', 'two  lines and more '],
  ['größe 日本 🙂', 'größe 日本 🙂'],
  ['\ud800lone', 'lone'],
])('%j is shown as %j', (raw, shown) => {
  expect(printable(raw)).toBe(shown);
});

test('long text is cut, and no character in half', () => {
  expect(printable('abcdef', 4)).toBe('abc…');
  expect(printable('ab🙂def', 4)).toBe('ab…');
  expect(printable('x'.repeat(5_000_000))).toHaveLength(1000);
});

test('a command is never cut', () => {
  expect(printableCommand('x'.repeat(5000))).toHaveLength(5000);
});

test('whatever comes, nothing is left that a terminal obeys', { timeout: 30_000 }, () => {
  const units = fc.constantFrom(
    '\u001b',
    '[',
    ']',
    '0',
    'm',
    '\u0007',
    '\\',
    '\u009b',
    '\u202e',
    'é',
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: units })), (raw) => {
      expect(printable(raw)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(ascii(printable(raw))).toMatch(/^[ -~]*$/);
    }),
  );
});

test('plain text keeps names apart', () => {
  expect(ascii('1 → 2 · ≥ 5 µs…')).toBe('1 -> 2, >= 5 us...');
  expect(ascii('vé')).not.toBe(ascii('vè'));
});
