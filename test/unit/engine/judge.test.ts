import { expect, test } from 'vitest';
import { judge } from '../../../src/engine/judge.ts';
import type { AnyCheck } from '../../../src/model/check.ts';
import { ok, unread, type Reading } from '../../../src/model/reading.ts';
import { cause, needing, reading, ruleOf } from './scripted.ts';

const window = { seconds: 5, foreignNetns: false, severalNetns: false, interfaces: [] };
const here = reading('here', ok(1));
const missing = reading('missing', ok(1));
const unasked = reading('unasked', ok(1));

const evidence = new Map<AnyCheck, { reading: Reading<unknown>; tookMs: number }>([
  [here, { reading: ok('value'), tookMs: 1 }],
  [missing, { reading: unread('absent', 'not installed'), tookMs: 1 }],
]);

test('unmet needs: not judged, with every reason', () => {
  const rule = ruleOf('r', [cause()], { needs: needing(here, missing, unasked) });
  expect(judge([rule], evidence, window)).toEqual({
    findings: [],
    notJudged: [{ rule: 'r', missing: ['missing: not installed', 'unasked: not read'] }],
    crashed: [],
  });
});

test('unmet wants are undefined; met ones, the needs and the window are handed over', () => {
  const seen: unknown[] = [];
  const rule = ruleOf('r', [], {
    needs: needing(here),
    wants: needing(missing),
    judge: (given, when) => {
      seen.push(given['here'], given['missing'], when);
      return [cause({ packets: 3 })];
    },
  });
  const { findings, notJudged } = judge([rule], evidence, window);
  expect(seen).toEqual(['value', undefined, window]);
  expect(findings).toEqual([{ rule, finding: cause({ packets: 3 }) }]);
  expect(notJudged).toEqual([]);
});

test('a rule that throws is one line, and the others are judged', () => {
  const bad = ruleOf('bad', [], {
    judge: () => {
      throw new TypeError('x is undefined');
    },
  });
  const { findings, crashed } = judge([bad, ruleOf('good', [cause()])], evidence, window);
  expect(crashed).toEqual([{ id: 'bad', error: 'x is undefined' }]);
  expect(findings.map(({ rule }) => rule.id)).toEqual(['good']);
});
