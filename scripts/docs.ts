// Writes docs/causes (one page per rule, and their index) and the screens in README.md (from docs/screens);
// `--check` fails instead of writing.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { format, resolveConfig } from 'prettier';

import { rules } from '../rules/index.ts';
import { renderCauseIndex, renderCausePage } from '../src/render/cause-page.ts';

const folder = 'docs/causes';
mkdirSync(folder, { recursive: true });

const style = await resolveConfig('docs/causes/README.md');
/** Null: the file should not be there. */
const pages = new Map<string, string | null>();
for (const [file, page] of [
  ['README.md', renderCauseIndex(rules)] as const,
  ...rules.map((rule) => [`${rule.id}.md`, renderCausePage(rule)] as const),
]) {
  pages.set(`${folder}/${file}`, await format(page, { ...style, parser: 'markdown' }));
}

for (const file of readdirSync(folder)) {
  if (!pages.has(`${folder}/${file}`)) pages.set(`${folder}/${file}`, null);
}
pages.set('README.md', withScreens(readFileSync('README.md', 'utf8')));

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

function textOf(file: string): string | null {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}
