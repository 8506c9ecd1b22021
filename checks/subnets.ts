import { defineCheck } from '../src/model/check.ts';
import { ok } from '../src/model/reading.ts';
import { interfaceKey, sysctlPath } from '../src/model/sysctl-key.ts';
import { listByIp, textOf, type JsonObject } from './iproute-json.ts';

const command = [
  'ip',
  '-4',
  '-j',
  'route',
  'show',
  'table',
  'main',
  'proto',
  'kernel',
  'scope',
  'link',
] as const;
const settings = ['arp_ignore', 'arp_announce', 'arp_filter'] as const;

/** Which interface answers ARP for which address: documented in ip-sysctl.rst. */
export type ArpSettings = Readonly<Record<(typeof settings)[number], number>>;

/** An IPv4 network that several interfaces are in. */
export interface SharedSubnet {
  readonly network: string;
  /** With the settings in force on each: the higher of `all` and its own (IN_DEV_MAXCONF). */
  readonly interfaces: ReadonlyMap<string, ArpSettings>;
}

export interface Subnets {
  readonly shared: readonly SharedSubnet[];
}

export default defineCheck<Subnets>({
  id: 'subnets',
  title: 'Interfaces in one subnet',
  sources: [command.join(' '), 'sysctl net.ipv4.conf.*.arp_ignore, arp_announce, arp_filter'],
  async read(host, { first }) {
    // Settings, not counters: one look is enough.
    if (first !== undefined) return ok(first);
    const routes = await listByIp(host, command);
    if (routes.status !== 'ok') return routes;
    const networks = [...sharedNetworks(routes.value)];
    const names = ['all', ...new Set(networks.flatMap(([, interfaces]) => interfaces))];
    const paths = names.flatMap((name) =>
      settings.map((setting) => {
        const key = interfaceKey('net.ipv4.conf', name, setting);
        return (key === undefined ? undefined : sysctlPath(key)) ?? '';
      }),
    );
    const known = paths.filter((path) => path !== '');
    const texts = networks.length === 0 ? [] : await host.readFiles(known);
    const valueOf = (name: string, index: number): number => {
      const path = paths[names.indexOf(name) * settings.length + index] ?? '';
      const text = texts[known.indexOf(path)];
      return text?.status === 'ok' && /^\d$/.test(text.value.trim()) ? Number(text.value) : 0;
    };
    const inForce = (name: string): ArpSettings => {
      const [arp_ignore = 0, arp_announce = 0, arp_filter = 0] = settings.map((_, index) =>
        Math.max(valueOf('all', index), valueOf(name, index)),
      );
      return { arp_ignore, arp_announce, arp_filter };
    };
    const shared = networks.map(([network, interfaces]) => ({
      network,
      interfaces: new Map(interfaces.map((name) => [name, inForce(name)])),
    }));
    return ok({ shared });
  },
});

/** Networks of `ip -4 -j route` that more than one interface is in. */
export function sharedNetworks(
  routes: readonly JsonObject[],
): ReadonlyMap<string, readonly string[]> {
  const networks = new Map<string, string[]>();
  for (const route of routes) {
    const [network, device] = [textOf(route, 'dst'), textOf(route, 'dev')];
    if (network === undefined || device === undefined) continue;
    const interfaces = networks.get(network) ?? [];
    if (!interfaces.includes(device)) networks.set(network, [...interfaces, device]);
  }
  return new Map([...networks].filter(([, interfaces]) => interfaces.length > 1));
}
