import { readdirSync } from 'node:fs';
import type { Fault } from './fault.ts';

/** All that the files in faults/ make. */
export const faults: readonly Fault[] = await load(new URL('faults/', import.meta.url));

async function load(folder: URL): Promise<readonly Fault[]> {
  const modules = await Promise.all(
    readdirSync(folder).map(
      async (file) => (await import(new URL(file, folder).href)) as { default: readonly Fault[] },
    ),
  );
  return modules.flatMap((module) => module.default);
}
