/**
 * Settings the kernel changes by itself when one is written. Writing the old value back does not
 * bring them back: `ip_forward` 0 → 1 → 0 leaves 0 on an interface that had 1 of its own. So they
 * are noted before the write and restored one by one. Seen on 6.18; in the kernel since long:
 *
 * - `conf.default.*` goes to every interface whose own setting was never written
 *   (net/ipv4/devinet.c devinet_copy_dflt_conf; IPv4 only)
 * - `ip_forward` and `conf.all.forwarding` go to `default` and to all interfaces, and IPv4 flips
 *   `all.accept_redirects` (net/ipv4/devinet.c inet_forward_change, net/ipv6/addrconf.c addrconf_fixup_forwarding)
 * - IPv6 `conf.all.disable_ipv6` and the like go to all interfaces (addrconf_disable_ipv6)
 */
export interface SideEffects {
  /** Directory, as a key: its entries are `all`, `default` and the interfaces. */
  readonly tree: string;
  /** The setting of each entry that may change. */
  readonly setting: string;
  /** Single keys that may change as well. */
  readonly others: readonly string[];
}

const broadKey = /^(?<tree>net\.ipv[46]\.conf)\.(?:all|default)\.(?<setting>[a-z0-9_]+)$/;

/** What writing `key` may change besides, or undefined for the many keys that stand alone. */
export function sideEffectsOf(key: string): SideEffects | undefined {
  const { tree, setting } =
    key === 'net.ipv4.ip_forward'
      ? { tree: 'net.ipv4.conf', setting: 'forwarding' }
      : (broadKey.exec(key)?.groups ?? {});
  if (tree === undefined || setting === undefined) return undefined;
  const redirects = tree === 'net.ipv4.conf' && setting === 'forwarding';
  return { tree, setting, others: redirects ? ['net.ipv4.conf.all.accept_redirects'] : [] };
}
