import { ok, type Reading } from '../model/reading.ts';
import type { NetnsTarget } from './netns-target.ts';
import type { SysctlStep } from './plan.ts';

/** Where kernel settings are read and written. Keys as in src/model/sysctl-key.ts. */
export interface SysctlStore {
  /** @param netns as `--netns` takes it; null: the namespace whydrop runs in */
  locate(netns: string | null): Promise<Reading<NetnsTarget>>;
  /** The raw text, tabs and newline included. `absent`: no such key there, or the namespace is gone. */
  read(key: string, target: NetnsTarget): Promise<Reading<string>>;
  /** Writes the text as it is, in one write(2). Not `ok`: the kernel refused, with the reason. */
  write(key: string, target: NetnsTarget, value: string): Promise<Reading<null>>;
  /** Names below a directory of settings, given as a key: the interfaces of `net.ipv4.conf`. */
  list(tree: string, target: NetnsTarget): Promise<Reading<readonly string[]>>;
}

/** Where a step is written: host-wide settings exist in the initial namespace only. */
export async function locateStep(
  store: SysctlStore,
  { hostWide }: SysctlStep,
  netns: string | null,
): Promise<Reading<NetnsTarget>> {
  return hostWide ? ok({ kind: 'initial' }) : await store.locate(netns);
}
