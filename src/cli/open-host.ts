import type { Host } from '../model/host.ts';
import { openLiveHost } from '../host/live.ts';
import { UsageError } from './usage-error.ts';

/**
 * The live machine.
 *
 * @param willCapture the capture is made ready meanwhile
 * @throws UsageError when the namespace cannot be entered
 */
export async function openHost(netns: string | null, willCapture = false): Promise<Host> {
  const host = await openLiveHost({ netns, willCapture });
  if (host.status !== 'ok') throw new UsageError(host.reason);
  return host.value;
}
