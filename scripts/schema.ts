// Writes the JSON Schemas in docs/ from the types in src/model; `--check` fails instead of writing.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { createGenerator } from 'ts-json-schema-generator';

const schemas = [
  {
    path: 'docs/report.schema.json',
    title: 'whydrop report, version 1',
    source: 'src/model/report.ts',
    type: 'Report',
  },
  {
    path: 'docs/import.schema.json',
    title: 'whydrop import, version 1',
    source: 'src/model/import-report.ts',
    type: 'ImportReport',
  },
];

for (const { path, title, source, type } of schemas) {
  const schema = createGenerator({
    path: source,
    tsconfig: 'tsconfig.json',
    type,
    // Fields may be added within version 1: a reader must accept those it does not know.
    additionalProperties: true,
  }).createSchema(type);
  const text = `${JSON.stringify({ title, ...schema }, undefined, 2)}\n`;
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    console.error(`${path} is stale: run npm run docs and commit it`);
    process.exitCode = 1;
  }
}
