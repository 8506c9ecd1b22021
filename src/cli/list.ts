import { checks } from '../../checks/index.ts';
import { rules } from '../../rules/index.ts';
import { print } from './output.ts';
import { UsageError } from './usage-error.ts';

/** `whydrop list causes|checks`. @returns the exit code */
export async function runList([what = '']: readonly string[]): Promise<number> {
  const rows = rowsOf(what);
  const width = Math.max(...rows.map(([name]) => name.length));
  await print(rows.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join(''));
  return 0;
}

function rowsOf(what: string): readonly (readonly [string, string])[] {
  switch (what) {
    case 'causes':
      return rules.map(({ id, title }) => [id, title]);
    case 'checks':
      return checks.map(({ id, title, sources }) => [id, `${title} (${sources.join(', ')})`]);
    default:
      throw new UsageError(`list ${what}: whydrop can list causes and checks`);
  }
}
