import { readFileSync } from 'node:fs';

import { Ajv, type AnySchema } from 'ajv';
import { expect, test } from 'vitest';

import { sampleReport } from './sample-report.ts';

const schema = JSON.parse(readFileSync('docs/report.schema.json', 'utf8')) as AnySchema;
const validate = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schema);

test('the sample report is valid, also with fields of a later 1.x', () => {
  expect([validate(sampleReport), validate.errors]).toEqual([true, null]);
  expect(validate({ ...sampleReport, later: true })).toBe(true);
});

test.each([
  ['another schema', { schema: 'whydrop.report/2' }],
  ['an unknown verdict', { verdict: 'fine' }],
  ['a count as a string', { totals: { ...sampleReport.totals, dropped: '1' } }],
  ['a missing field', { causes: undefined }],
  ['a raw counter as a number', { causes: withFirst(10) }],
])('%s is invalid', (_, change) => {
  expect(validate({ ...sampleReport, ...change })).toBe(false);
});

function withFirst(first: unknown): unknown {
  const [cause] = sampleReport.causes;
  return [{ ...cause, because: [{ source: 's', text: 't', first }] }];
}
