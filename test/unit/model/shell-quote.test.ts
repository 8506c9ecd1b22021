import { execFileSync } from 'node:child_process';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { invisible } from '../../../src/model/invisible.ts';
import { quoteArgv } from '../../../src/model/shell-quote.ts';

test('words a shell leaves alone stay bare', () => {
  expect(quoteArgv(['sysctl', '-w', 'net.ipv4.conf.eth0/100.rp_filter=2'])).toBe(
    'sysctl -w net.ipv4.conf.eth0/100.rp_filter=2',
  );
});

test('anything else is quoted', () => {
  expect(quoteArgv(['ip', 'link', 'show', 'a b'])).toBe("ip link show 'a b'");
  expect(quoteArgv(['echo', '', '$(reboot)', '~', '*', '#'])).toBe(
    "echo '' '$(reboot)' '~' '*' '#'",
  );
  expect(quoteArgv(['echo', "it's"])).toBe(String.raw`echo 'it'\''s'`);
  expect(quoteArgv(['echo', 'vb-größe'])).toBe("echo 'vb-größe'");
});

test('a program that looks like an assignment is quoted, an argument is not', () => {
  expect(quoteArgv(['A=b', 'A=b'])).toBe("'A=b' A=b");
});

test('what a terminal would obey or hide is escaped', () => {
  expect(quoteArgv(['x', "\u001b[31m'\n"])).toBe(String.raw`x $'\033[31m\'\012'`);
  expect(quoteArgv(['x', 'a\u202eb'])).toBe(String.raw`x $'a\342\200\256b'`);
});

test('bash splits the line back into the same words', { timeout: 30_000 }, () => {
  const word = fc.string({ unit: 'binary', maxLength: 8 }).filter((text) => !text.includes('\0'));
  const hostile = fc.string({
    unit: fc.constantFrom(...Array.from(`'"\\$\`!\n\t\u001b\u009b\u202e a1~#*`)),
  });
  const batches = fc.array(fc.oneof(word, hostile), { minLength: 50, maxLength: 100 });
  fc.assert(
    fc.property(batches, (words) => {
      const line = quoteArgv(['printf', String.raw`%s\0`, ...words]);
      expect(line.search(invisible)).toBe(-1);
      const answer = execFileSync('bash', ['-c', line], { encoding: 'utf8' });
      expect(answer.split('\0').slice(0, -1)).toEqual(words);
    }),
    { numRuns: 10 },
  );
});
