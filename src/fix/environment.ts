import type { Checkpoint } from './checkpoints.ts';
import type { FixEvent } from './events.ts';
import { liveStore } from './live-store.ts';
import { stateDirectory } from './state-directory.ts';
import type { SysctlStore } from './sysctl-store.ts';

/** Everything outside that applying and undoing fixes touches. Tests put their own in. */
export interface FixEnvironment {
  readonly store: SysctlStore;
  /** The journal. Default `/var/lib/whydrop`. */
  readonly stateDirectory: string;
  /** Where `etc/sysctl.d` and its like are looked up. Default `/`. */
  readonly root: string;
  readonly observe: (event: FixEvent) => void;
  /** Called at each of CHECKPOINTS. Default: nothing happens. */
  readonly checkpoint: (name: Checkpoint) => void;
  readonly now: () => Date;
}

/** The machine itself. */
export function liveEnvironment(
  variables: Readonly<Record<string, string | undefined>>,
  observe: (event: FixEvent) => void,
  checkpoint: (name: Checkpoint) => void = () => {},
): FixEnvironment {
  return {
    store: liveStore,
    stateDirectory: stateDirectory(variables),
    root: '/',
    observe,
    checkpoint,
    now: () => new Date(),
  };
}
