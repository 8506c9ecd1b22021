import type { CollectOptions } from '../engine/collect.ts';
import type { Host, Machine } from '../model/host.ts';
import { openLiveHost } from '../host/live.ts';
import { UsageError } from './usage-error.ts';

/** `--netns all`: every network namespace of the machine. */
export const ALL_NETNS = 'all';

/**
 * The live machine, in one of its network namespaces.
 *
 * @param capture that will be asked for: it is made ready meanwhile
 * @throws UsageError when the namespace cannot be entered, or all are asked for
 */
export async function openHost(
  netns: string | null,
  capture: CollectOptions['capture'] = 'none',
): Promise<Host> {
  if (netns === ALL_NETNS) {
    throw new UsageError(
      '--netns all is for `whydrop report`: everything else works in one network namespace. One that is called all is --netns /run/netns/all',
    );
  }
  const host = await openLiveHost({ netns, ...(capture !== 'none' && { capture }) });
  if (host.status !== 'ok') throw new UsageError(host.reason);
  return host.value;
}

/** The live machine, in all of its network namespaces. @throws UsageError when there are none */
export async function openWholeMachine(capture: CollectOptions['capture']): Promise<Machine> {
  const { openMachine } = await import('../host/machine.ts');
  const machine = await openMachine(capture);
  if (machine.status !== 'ok') throw new UsageError(machine.reason);
  return machine.value;
}
