// Writes docs/report.schema.json from the types in src/model/report.ts; `--check` fails instead of writing.
import { readFileSync, writeFileSync } from 'node:fs';

import { createGenerator } from 'ts-json-schema-generator';

const path = 'docs/report.schema.json';

const schema = createGenerator({
  path: 'src/model/report.ts',
  tsconfig: 'tsconfig.json',
  type: 'Report',
  // Fields may be added within version 1: a reader must accept those it does not know.
  additionalProperties: true,
}).createSchema('Report');

const text = `${JSON.stringify({ title: 'whydrop report, version 1', ...schema }, undefined, 2)}\n`;

if (!process.argv.includes('--check')) writeFileSync(path, text);
else if (readFileSync(path, 'utf8') !== text) {
  console.error(`${path} is stale: run npx tsx scripts/schema.ts and commit it`);
  process.exitCode = 1;
}
