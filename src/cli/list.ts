import { checks } from '../../checks/index.ts';
import { rules } from '../../rules/index.ts';
import { counterKey, counterSource, counterTitle } from '../catalogue/counter.ts';
import { counters } from '../catalogue/counters.ts';
import { locations } from '../catalogue/locations.ts';
import { reasons } from '../catalogue/reasons.ts';
import { print } from './output.ts';
import { UsageError } from './usage-error.ts';

interface Row {
  readonly name: string;
  readonly text: string;
  /** For --json. */
  readonly entry: object;
}

const lists: Readonly<Record<string, () => readonly Row[]>> = {
  causes: () =>
    rules.map(({ id, aliases, title }) => ({
      name: id,
      text: title,
      entry: { id, aliases, title },
    })),
  checks: () =>
    checks.map(({ id, title, sources }) => ({
      name: id,
      text: `${title} (${sources.join(', ')})`,
      entry: { id, title, sources },
    })),
  reasons: () => reasons.map((entry) => ({ name: entry.name, text: entry.title, entry })),
  functions: () =>
    locations.flatMap((entry) =>
      entry.functions.map((name) => ({ name, text: entry.title, entry: { name, ...entry } })),
    ),
  counters: () =>
    counters.map((counter) => ({
      name: counterTitle(counter),
      text: counter.meaning,
      entry: { key: counterKey(counter), ...counter, ...counterSource(counter) },
    })),
};

/** `whydrop list WHAT`. @returns the exit code */
export async function runList(
  [what = '']: readonly string[],
  { json }: { json?: boolean },
): Promise<number> {
  const rows = lists[what]?.();
  if (rows === undefined) {
    throw new UsageError(`list ${what}: whydrop can list ${Object.keys(lists).join(', ')}`);
  }
  if (json === true) {
    const entries = rows.map(({ entry }) => entry);
    await print(`${JSON.stringify(entries, undefined, 2)}\n`);
    return 0;
  }
  const width = Math.max(...rows.map(({ name }) => name.length));
  await print(rows.map(({ name, text }) => `${name.padEnd(width)}  ${text}\n`).join(''));
  return 0;
}
