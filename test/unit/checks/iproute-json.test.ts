import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { counterOf, parseIprouteJson } from '../../../checks/iproute-json.ts';
import { garbledText } from './garbled-text.ts';

function objectsOf(text: string) {
  const reading = parseIprouteJson(text, 'ip -j');
  if (reading.status !== 'ok') throw new Error(reading.reason);
  return reading.value;
}

test('64-bit counters stay exact', () => {
  const [object = {}] = objectsOf(
    '[{"a":18446744073709551615,"b":9007199254740993, "c":12 ,"d":-1,"e":1.5}]',
  );
  expect(counterOf(object, 'a')).toBe(18_446_744_073_709_551_615n);
  expect(counterOf(object, 'b')).toBe(9_007_199_254_740_993n);
  expect(counterOf(object, 'c')).toBe(12n);
  expect(counterOf(object, 'd')).toBeUndefined();
  expect(counterOf(object, 'e')).toBeUndefined();
  expect(counterOf(object, 'f')).toBeUndefined();
});

test('what looks like a counter within a name or alias is left alone', () => {
  const alias = String.raw`a: 1234567890123456789, \"b\\`;
  expect(objectsOf(`[{"ifalias":"${alias}"}]`)).toEqual([
    { ifalias: 'a: 1234567890123456789, "b\\' },
  ]);
});

test('fractions with many digits are numbers', () => {
  expect(objectsOf('[{"prob":0.12345678901234567890}]')).toEqual([
    { prob: 0.123_456_789_012_345_68 },
  ]);
});

test('raw control characters in names are read', () => {
  expect(objectsOf('[{"ifname":"a\u001bb\u0001\\\\"}]')).toEqual([{ ifname: 'a\u001bb\u0001\\' }]);
});

test('empty objects and no output at all are nothing', () => {
  expect(objectsOf('')).toEqual([]);
  expect(objectsOf('[{},{"a":1},null,3]\n')).toEqual([{}, { a: 1 }]);
});

test.each(['[{"kind":"netem","options":limit 1000}]', '[', '"', 'Usage: ip', '{}', '"\\'])(
  'broken JSON is malformed: %j',
  (text) => {
    expect(parseIprouteJson(text, 'tc -j').status).toBe('malformed');
  },
);

test('never throws on garbage', () => {
  fc.assert(
    fc.property(
      garbledText('[{"a":"b\\"c","d":12345678901234567890,"e":[{"f":0.5}]},{}]'),
      (text) => {
        expect(['ok', 'malformed']).toContain(parseIprouteJson(text, 'ip -j').status);
      },
    ),
  );
});

test('a long unfinished string is no trap', () => {
  const started = performance.now();
  const opening = `[{"a":"${'\\"'.repeat(100_000)}`;
  for (const text of [opening, `${opening}\\`]) {
    expect(parseIprouteJson(text, 'ip -j').status).toBe('malformed');
  }
  expect(performance.now() - started).toBeLessThan(2000);
});
