import type {
  Element,
  FirewallRule,
  Match,
  Matching,
  Statement,
  Value,
} from '../../../checks/firewall.ts';
import type { Packet } from './packet.ts';
import { placeOf } from './places.ts';
import { nameInTable, outcomeOf } from './statements.ts';

/** Elements of a set that are shown. */
const SHOWN_ELEMENTS = 5;

/** Of a statement that decides where a packet goes, as nft would take it. */
export function conditionText(statement: Statement): string {
  switch (statement.kind) {
    case 'match': {
      const { key, operator, right } = statement;
      const sign = operator === '==' ? '' : `${operator} `;
      return `${key.join(' . ')} ${sign}${'set' in right ? `@${right.set}` : elementsText(right)}`;
    }
    case 'vmap':
      return `${statement.key.join(' . ')} vmap`;
    case 'decision':
      return statement.way.to;
    case 'undecidable':
      return statement.text;
  }
}

/** The conditions of a rule, each with what a packet meets in the set it names: `ip saddr @blocked (10.77.0.0/24)`. */
export function conditionsMet(rule: FirewallRule, packet: Packet, matching: Matching): string {
  const texts = (matching.statements.get(rule.key) ?? []).flatMap((statement) => {
    if (statement.kind === 'decision') return [];
    const text = conditionText(statement);
    const met =
      statement.kind === 'match' ? elementMet(statement, rule, packet, matching) : undefined;
    return [met === undefined ? text : `${text} (${elementText(met)})`];
  });
  return texts.length === 0 ? 'a rule for every packet' : texts.join(' ');
}

function elementMet(
  match: Match,
  rule: FirewallRule,
  packet: Packet,
  { sets }: Matching,
): Element | undefined {
  const { operator, right } = match;
  const [hook] = rule.hooks;
  if (operator !== '==' || !('set' in right) || hook === undefined) return undefined;
  const place = placeOf(rule, hook);
  return sets.get(nameInTable(rule, right.set))?.elements.find((element) => {
    const { passes } = outcomeOf(
      { ...match, right: [element] },
      { ...packet, place },
      () => undefined,
    );
    return passes === 'yes';
  });
}

function elementsText(elements: readonly Element[]): string {
  const [only] = elements;
  if (elements.length === 1 && only !== undefined) return elementText(only);
  const texts = elements.slice(0, SHOWN_ELEMENTS).map((element) => elementText(element));
  return `{ ${texts.join(', ')}${elements.length > texts.length ? ', …' : ''} }`;
}

function elementText(element: Element): string {
  return element.map((value) => valueText(value)).join(' . ');
}

function valueText(value: Value): string {
  if (typeof value !== 'object') return String(value);
  return 'prefix' in value ? `${value.prefix}/${value.bits}` : `${value.from}-${value.to}`;
}
