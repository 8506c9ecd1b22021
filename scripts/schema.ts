// Writes the JSON Schemas in docs/ from the types in src/model; `--check` fails instead of writing.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { createGenerator } from 'ts-json-schema-generator';

const documents = [
  { name: 'report', type: 'Report', title: 'whydrop report, version 1' },
  { name: 'import', type: 'ImportReport', title: 'whydrop import, version 1' },
  { name: 'self-check', type: 'SelfCheck', title: 'whydrop self-check, version 1' },
];

const generator = createGenerator({
  path: 'src/model/*.ts',
  tsconfig: 'tsconfig.json',
  // Fields may be added within version 1: a reader must accept those it does not know.
  additionalProperties: true,
});

for (const { name, type, title } of documents) {
  const schema = generator.createSchema(type);
  const path = `docs/${name}.schema.json`;
  const text = `${JSON.stringify({ title, ...schema }, undefined, 2)}\n`;
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    console.error(`${path} is stale: run npm run docs and commit it`);
    process.exitCode = 1;
  }
}
