import type { View } from '../src/model/host.ts';
import { ok, type Reading } from '../src/model/reading.ts';

const directory = '/sys/class/net';
/** Here the kernel puts interfaces without a device behind them (device_add, Linux 6.18): veths, bridges, VLANs … */
const withoutDevice = '/sys/devices/virtual/net';

/**
 * Interfaces that may be cards. To look at each interface for a device would be 1,000 looks, most of them in vain;
 * where the kernel does not tell which are virtual, these are all.
 */
export async function cardNames(view: View): Promise<Reading<readonly string[]>> {
  const [names, virtual] = await Promise.all([view.list(directory), view.list(withoutDevice)]);
  if (names.status !== 'ok' || virtual.status !== 'ok') return names;
  const known = new Set(virtual.value);
  return ok(names.value.filter((name) => !known.has(name)));
}
