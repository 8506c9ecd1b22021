// Writes docs/causes (one page per rule, and their index), docs/reasons.md and docs/counters.md (the
// catalogue), the screens in README.md (from docs/screens), and what `whydrop import` says of test/samples in
// docs/import.md;
// `--check` fails instead of writing.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { format, resolveConfig } from 'prettier';

import { rules } from '../rules/index.ts';
import { counters } from '../src/catalogue/counters.ts';
import { reasons } from '../src/catalogue/reasons.ts';
import { titleOfCause } from '../src/cli/title-of-cause.ts';
import { readOutput } from '../src/import/read.ts';
import { importReport } from '../src/import/report.ts';
import { renderCounterTable, renderReasonTable } from '../src/render/catalogue-tables.ts';
import { renderImportText } from '../src/render/import-text.ts';
import { renderCauseIndex, renderCausePage } from '../src/render/cause-page.ts';
import { symptoms } from '../src/wizard/symptoms.ts';

const folder = 'docs/causes';
mkdirSync(folder, { recursive: true });

const style = await resolveConfig('docs/causes/README.md');
/** Null: the file should not be there. */
const pages = new Map<string, string | null>();
for (const [file, page] of [
  ['README.md', renderCauseIndex(rules, symptoms)] as const,
  ...rules.map((rule) => [`${rule.id}.md`, renderCausePage(rule)] as const),
]) {
  pages.set(`${folder}/${file}`, await format(page, { ...style, parser: 'markdown' }));
}

for (const file of readdirSync(folder)) {
  if (!pages.has(`${folder}/${file}`)) pages.set(`${folder}/${file}`, null);
}
// As they are: prettier pads each column to its widest cell (.prettierignore).
pages.set('docs/reasons.md', renderReasonTable(reasons, titleOfCause));
pages.set('docs/counters.md', renderCounterTable(counters, titleOfCause));
pages.set('README.md', withScreens(readFileSync('README.md', 'utf8')));
pages.set('docs/import.md', await withReadings(readFileSync('docs/import.md', 'utf8')));

const stale = [...pages].filter(([file, page]) => textOf(file) !== page);
for (const [file, page] of stale) {
  if (process.argv.includes('--check')) {
    console.error(`${file} is stale: run npm run docs and commit it`);
    process.exitCode = 1;
  } else if (page === null) rmSync(file);
  else writeFileSync(file, page);
}

/** Puts what a terminal really showed between its markers. */
function withScreens(readme: string): string {
  return readme.replaceAll(
    /(<!-- screen: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const screen = readFileSync(`docs/screens/${name}.txt`, 'utf8').trimEnd();
      return `${begin}\n\`\`\`console\n${screen}\n\`\`\`\n\n${end}`;
    },
  );
}

/** Puts what `whydrop import` prints of a sample between its markers. */
async function withReadings(page: string): Promise<string> {
  const screens = new Map<string, string>();
  for (const [, name = ''] of page.matchAll(/<!-- import: ([\w.-]+) -->/g)) {
    const output = await readOutput([readFileSync(`test/samples/${name}`)]);
    const report = importReport(output, { file: name, version: '' });
    const look = { width: 100, color: false, plain: false, verbose: false };
    screens.set(name, (await renderImportText(report, look)).trimEnd());
  }
  return page.replaceAll(
    /(<!-- import: ([\w.-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) =>
      `${begin}\n\`\`\`console\n$ whydrop import ${name}\n${screens.get(name) ?? ''}\n\`\`\`\n\n${end}`,
  );
}

function textOf(file: string): string | null {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}
