import { expect, test } from 'vitest';

import { renderJson } from '../../../src/render/json.ts';
import { sampleReport } from './sample-report.ts';

test('one line, or indented when asked; the same value', () => {
  const line = renderJson(sampleReport);
  expect(line.indexOf('\n')).toBe(line.length - 1);
  const pretty = renderJson(sampleReport, { pretty: true });
  expect(pretty).toContain('\n  "verdict": "critical",\n');
  expect(JSON.parse(line)).toEqual(sampleReport);
  expect(JSON.parse(pretty)).toEqual(sampleReport);
});

test('characters a terminal obeys are escaped and survive the round trip', () => {
  const hostname = 'a\u001b[2J\u009b2J\u202e\u2028\u{e0041}\ud800\nb é日🙂';
  const hostile = { ...sampleReport, host: { ...sampleReport.host, hostname } };
  for (const pretty of [false, true]) {
    const json = renderJson(hostile, { pretty });
    expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    expect(json).toContain('é日🙂');
    expect(JSON.parse(json)).toEqual(hostile);
  }
});
