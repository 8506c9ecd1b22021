import type { Checks, AnyRule } from '../model/rule.ts';

/** What is known about one cause, as Markdown: docs/causes/<id>.md and `whydrop explain <id>`. Ends with a newline. */
export function renderCausePage(rule: AnyRule): string {
  const { explain } = rule;
  const sections = [
    ['What you see', explain.see],
    ['What the kernel does', explain.kernel],
    ['Confirm it by hand', explain.confirm],
    ['Fix', explain.fix],
    ['When it is normal', explain.normal],
    ['What whydrop reads', evidenceList(rule)],
    ['References', explain.references.map((reference) => `- ${reference}`).join('\n')],
  ] as const;
  const body = sections
    .filter(([, text]) => text.trim() !== '')
    .map(([title, text]) => `## ${title}\n\n${text.trim()}\n`);
  return [`# ${rule.title}\n`, `${names(rule)}, reviewed ${rule.reviewed}\n`, ...body].join('\n');
}

function names({ id, aliases }: AnyRule): string {
  const also = aliases.map((alias) => `\`${alias}\``).join(', ');
  return also === '' ? `\`${id}\`` : `\`${id}\` (also ${also})`;
}

/** The index of all cause pages, in alphabetical order of ids, as Markdown. */
export function renderCauseIndex(rules: readonly AnyRule[]): string {
  const lines = [...rules]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, title }) => `- [\`${id}\`](${id}.md): ${title}`);
  return [
    '# Causes\n',
    'What whydrop can find, one page each. `whydrop explain ID` prints the same page.\n',
    ...lines,
    '',
  ].join('\n');
}

function evidenceList(rule: AnyRule): string {
  const needs: Checks = rule.needs;
  const wants: Checks = rule.wants;
  return [
    ...Object.values(needs).map((check) => evidenceLine(check)),
    ...Object.values(wants).map((check) => `${evidenceLine(check)} (if it can)`),
  ].join('\n');
}

function evidenceLine({ title, sources }: Checks[string]): string {
  return `- ${title}: ${sources.map((source) => `\`${source}\``).join(', ')}`;
}
