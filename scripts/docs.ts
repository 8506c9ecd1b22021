// Writes docs/causes: one page per rule, and their index; `--check` fails instead of writing.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { format, resolveConfig } from 'prettier';

import { rules } from '../rules/index.ts';
import { renderCauseIndex, renderCausePage } from '../src/render/cause-page.ts';

const folder = 'docs/causes';
mkdirSync(folder, { recursive: true });

const style = await resolveConfig('docs/causes/README.md');
const pages = new Map<string, string>();
for (const [file, page] of [
  ['README.md', renderCauseIndex(rules)] as const,
  ...rules.map((rule) => [`${rule.id}.md`, renderCausePage(rule)] as const),
]) {
  pages.set(file, await format(page, { ...style, parser: 'markdown' }));
}

const present = new Map(
  readdirSync(folder).map((file) => [file, readFileSync(`${folder}/${file}`, 'utf8')]),
);
const stale = [
  ...[...pages].filter(([file, page]) => present.get(file) !== page).map(([file]) => file),
  ...[...present.keys()].filter((file) => !pages.has(file)),
];

if (process.argv.includes('--check')) {
  for (const file of stale) {
    console.error(`${folder}/${file} is stale: run npx tsx scripts/docs.ts and commit it`);
  }
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const file of stale) {
    const page = pages.get(file);
    if (page === undefined) rmSync(`${folder}/${file}`);
    else writeFileSync(`${folder}/${file}`, page);
  }
}
