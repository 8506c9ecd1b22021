import { readdirSync } from 'node:fs';

/** All that the files of a folder make: each exports a list. */
export async function load<Item>(folder: URL): Promise<readonly Item[]> {
  const modules = await Promise.all(
    readdirSync(folder).map(
      async (file) => (await import(new URL(file, folder).href)) as { default: readonly Item[] },
    ),
  );
  return modules.flatMap((module) => module.default);
}
