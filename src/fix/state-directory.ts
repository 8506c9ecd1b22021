import { readdirSync } from 'node:fs';
import path from 'node:path';

type Variables = Readonly<Record<string, string | undefined>>;

/** Where the journal is. `$WHYDROP_STATE_DIR` moves it. */
export function stateDirectory({ WHYDROP_STATE_DIR: moved = '' }: Variables): string {
  return moved === '' ? '/var/lib/whydrop' : path.resolve(moved);
}

/** Whether anything was ever fixed here. Cheap: for those who need not load the journal if not. */
export function hasJournal(variables: Variables): boolean {
  try {
    return readdirSync(stateDirectory(variables)).some((name) => name.endsWith('.json'));
  } catch (error) {
    // What is there but may not be read, the journal itself has to complain of.
    return error instanceof Error && 'code' in error && error.code !== 'ENOENT';
  }
}
