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

/** What people see, and the causes that look like it. Empty: any may. */
export interface SymptomIndex {
  readonly name: string;
  readonly causes: readonly string[];
}

/** The index of all cause pages, by what people see and by id, as Markdown. */
export function renderCauseIndex(
  rules: readonly AnyRule[],
  symptoms: readonly SymptomIndex[],
): string {
  const sorted = [...rules].sort((a, b) => (a.id < b.id ? -1 : 1));
  const link = (id: string): string => `[\`${id}\`](${id}.md)`;
  return [
    '# Causes\n',
    'What whydrop can find, one page each. `whydrop explain ID` prints the same page. [Drop reasons](../reasons.md) and [counters](../counters.md) have their own tables.\n',
    '## By what you see\n',
    ...symptoms
      .filter(({ causes }) => causes.length > 0)
      .map(({ name, causes }) => `- ${name}: ${causes.map(link).join(', ')}`),
    '',
    'In the words of each cause:\n',
    ...sorted.map(({ id, explain }) => `- ${explain.see.trim()} ${link(id)}`),
    '',
    '## By name\n',
    ...sorted.map(({ id, title }) => `- ${link(id)}: ${title}`),
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
