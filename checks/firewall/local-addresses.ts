import type { Host } from '../../src/model/host.ts';
import { ok, type Reading } from '../../src/model/reading.ts';
import { listByIp, textOf } from '../iproute-json.ts';
import type { LocalAddresses } from './ruleset.ts';
import type { Prefix } from './statements.ts';

export async function readLocalAddresses(host: Host): Promise<Reading<LocalAddresses>> {
  const [local, broadcast] = await Promise.all([
    readDestinations(host, 'local'),
    readDestinations(host, 'broadcast'),
  ]);
  if (local.status !== 'ok') return local;
  if (broadcast.status !== 'ok') return broadcast;
  return ok({ local: local.value, broadcast: broadcast.value });
}

async function readDestinations(
  host: Host,
  type: 'local' | 'broadcast',
): Promise<Reading<readonly (string | Prefix)[]>> {
  const routes = await listByIp(host, ['ip', '-j', 'route', 'show', 'table', 'all', 'type', type]);
  if (routes.status !== 'ok') return routes;
  return ok(routes.value.flatMap((route) => destinationsOf(textOf(route, 'dst'))));
}

/** `10.0.0.1`, `127.0.0.0/8`, `default`: of which version, the route does not say. */
function destinationsOf(text = ''): readonly (string | Prefix)[] {
  if (text === 'default') return ['0.0.0.0', '::'].map((prefix) => ({ prefix, bits: 0 }));
  const [, prefix, bits] = /^([\d.:a-f]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (prefix === undefined) return [];
  return [bits === undefined ? prefix : { prefix, bits: Number(bits) }];
}
