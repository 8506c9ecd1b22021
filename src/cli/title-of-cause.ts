import { rules } from '../../rules/index.ts';

/** The title of a cause by its id or an older one; undefined: there is no rule for it. */
export function titleOfCause(id: string): string | undefined {
  return rules.find((rule) => rule.id === id || rule.aliases.includes(id))?.title;
}
