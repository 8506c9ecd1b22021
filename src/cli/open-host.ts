import type { CollectOptions } from '../engine/collect.ts';
import type { Host } from '../model/host.ts';
import { openLiveHost } from '../host/live.ts';
import { UsageError } from './usage-error.ts';

/**
 * The live machine.
 *
 * @param capture that will be asked for: it is made ready meanwhile
 * @throws UsageError when the namespace cannot be entered
 */
export async function openHost(
  netns: string | null,
  capture: CollectOptions['capture'] = 'none',
): Promise<Host> {
  const host = await openLiveHost({ netns, ...(capture !== 'none' && { capture }) });
  if (host.status !== 'ok') throw new UsageError(host.reason);
  return host.value;
}
