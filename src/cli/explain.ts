import { rules } from '../../rules/index.ts';
import { normaliseLocation } from '../capture/symbols.ts';
import { counterKey, counterTitle, type Counter } from '../catalogue/counter.ts';
import { counters, findCounters } from '../catalogue/counters.ts';
import { locations, locationsOf } from '../catalogue/locations.ts';
import { findReason, reasons } from '../catalogue/reasons.ts';
import {
  renderCounterPage,
  renderLocationPage,
  renderReasonPage,
} from '../render/catalogue-page.ts';
import { renderCausePage } from '../render/cause-page.ts';
import { causesMentioning } from './mentions.ts';
import { nearest } from './nearest.ts';
import { findNicStatistics } from './nic-statistics.ts';
import { print } from './output.ts';
import { titleOfCause } from './title-of-cause.ts';
import { UsageError } from './usage-error.ts';

interface Explained {
  /** Markdown. */
  readonly page: string;
  /** For --json. */
  readonly entry: {
    readonly kind: 'cause' | 'reason' | 'function' | 'counter' | 'mentions';
    readonly [field: string]: unknown;
  };
}

/**
 * `whydrop explain NAME…`: a cause, a drop reason, a kernel function or a counter, which may have a space
 * in its name; all of them that are called so. Of anything else, the causes that speak of it.
 *
 * @returns the exit code
 * @throws UsageError for a name nobody knows, with the nearest
 */
export async function runExplain(
  operands: readonly string[],
  { json }: { json?: boolean },
): Promise<number> {
  const name = operands.join(' ').trim();
  const found = [
    ...explainCause(name),
    ...explainReason(name),
    ...explainFunction(name),
    ...explainCounters(name),
  ];
  const told = found.length > 0 ? found : mentions(name);
  if (told.length === 0) throw new UsageError(unknown(name));
  await print(
    json === true
      ? `${JSON.stringify(
          told.map(({ entry }) => entry),
          undefined,
          2,
        )}\n`
      : told.map(({ page }) => page).join('\n'),
  );
  return 0;
}

function mentions(words: string): readonly Explained[] {
  const causes = causesMentioning(words, rules);
  if (causes.length === 0) return [];
  const lines = causes.map(({ id, title }) => `- \`${id}\`: ${title}`);
  return [
    {
      page: `${['These causes speak of it; `whydrop explain ID` tells all of one:', '', ...lines].join('\n')}\n`,
      entry: { kind: 'mentions', causes: causes.map(({ id, title }) => ({ id, title })) },
    },
  ];
}

function explainCause(name: string): readonly Explained[] {
  const wanted = name.toLowerCase();
  return rules
    .filter(({ id, aliases }) => id === wanted || aliases.includes(wanted))
    .map((rule) => {
      const { id, aliases, title, reviewed, explain } = rule;
      const entry = { kind: 'cause', id, aliases, title, reviewed, explain } as const;
      return { page: renderCausePage(rule), entry };
    });
}

function explainReason(name: string): readonly Explained[] {
  const reason = findReason(name);
  if (reason === undefined) return [];
  return [{ page: renderReasonPage(reason, titleOfCause), entry: { kind: 'reason', ...reason } }];
}

/** With or without what tools print behind the name: `+0x1a/0x400 [mod]`, `+49f` of old dropwatch. */
function explainFunction(name: string): readonly Explained[] {
  const { location } = normaliseLocation(name.replace(/\+[0-9a-f]+$/i, ''));
  return locationsOf(location).map((entry) => ({
    page: renderLocationPage(entry, titleOfCause),
    entry: { kind: 'function', ...entry },
  }));
}

/** `InErrors` is the name of several; those with the same meaning share a page. */
function explainCounters(name: string): readonly Explained[] {
  const byMeaning = new Map<string, [Counter, ...Counter[]]>();
  for (const counter of [...findCounters(name), ...findNicStatistics(name)]) {
    const same = byMeaning.get(counter.meaning);
    if (same === undefined) byMeaning.set(counter.meaning, [counter]);
    else same.push(counter);
  }
  return [...byMeaning.values()].map((same) => {
    const [{ meaning, loss, causes }] = same;
    return {
      page: renderCounterPage(same, titleOfCause),
      entry: { kind: 'counter', counters: same.map(counterKey), meaning, loss, causes },
    };
  });
}

function unknown(name: string): string {
  const near = nearest(name, [
    ...rules.flatMap(({ id, aliases }) => [id, ...aliases]),
    ...reasons.map((reason) => reason.name),
    ...locations.flatMap(({ functions }) => functions.filter((text) => !text.includes('*'))),
    ...counters.flatMap((counter) => [counterTitle(counter), counter.name]),
  ]);
  const hint =
    near.length > 0
      ? `did you mean ${near.join(' or ')}?`
      : '`whydrop list causes`, `reasons`, `functions` and `counters` name them all';
  return `explain ${name}: there is no such cause, drop reason, kernel function or counter; ${hint}`;
}
