/**
 * Keys of kernel settings as sysctl(8) writes them: path components joined by dots, and a dot within
 * a component written as a slash: `/proc/sys/net/ipv4/conf/eth0.100/rp_filter` is
 * `net.ipv4.conf.eth0/100.rp_filter`.
 */

const root = '/proc/sys/';

/**
 * What cannot stand in a key that is shown, typed, or written to a file of sysctl.d(5): control
 * characters and blanks, `=` ends the key, `*?[]` would match other keys. An interface may be called
 * so (the kernel forbids only `/`, `:` and blanks: dev_valid_name).
 */
const unfit = /[\p{Cc}\p{Cf}\s=*?[\]]/u;

/**
 * The file of a key, below /proc/sys, or undefined if the key is none: empty or relative components
 * (`net..x`, `net.//.x`), control characters, patterns, or a slash before the first dot, which
 * sysctl(8) takes for a path.
 */
export function sysctlPath(key: string): string | undefined {
  const separator = /[./]/.exec(key);
  if (unfit.test(key) || separator?.[0] !== '.') return undefined;
  const components = swapSeparators(key).split('/');
  if (components.some(isRelative)) return undefined;
  return root + components.join('/');
}

/** The key of a file below /proc/sys, or undefined if it has none that is safe to show and type. */
export function sysctlKey(path: string): string | undefined {
  if (!path.startsWith(root)) return undefined;
  const key = swapSeparators(path.slice(root.length));
  return sysctlPath(key) === path ? key : undefined;
}

/** A key below `net.*.conf` or `net.*.neigh`: `interfaceKey('net.ipv4.conf', 'eth0.100', 'rp_filter')`. */
export function interfaceKey(tree: string, name: string, setting: string): string | undefined {
  const key = `${tree}.${name.replaceAll('.', '/')}.${setting}`;
  return name.includes('/') || sysctlPath(key) === undefined ? undefined : key;
}

/**
 * Whether a setting acts on the whole machine: absent or read-only in any network namespace but the
 * initial one. Found by comparing /proc/sys/net of both on 6.18; per-interface keys never are.
 */
export function isHostWide(key: string): boolean {
  return hostWide.test(key);
}

const hostWide = new RegExp(
  `^net\\.(?:${[
    'core\\.(?:netdev_|[rw]mem_|flow_limit_|dev_weight|busy_|gro_normal_batch$|default_qdisc$|max_skb_frags$|qdisc_max_burst$|rps_sock_flow_entries$|skb_defer_max$)',
    'ipv4\\.(?:(?:tcp|udp)_mem$|tcp_max_orphans$|inet_peer_|ipfrag_secret_interval$)',
    'ipv[46]\\.neigh\\.default\\.',
    'netfilter\\.nf_conntrack_(?:max|buckets|expect_max)$',
    'nf_conntrack_max$',
  ].join('|')})`,
);

function swapSeparators(text: string): string {
  // Of a thousand interfaces hardly one has a dot in its name.
  if (!text.includes('/')) return text.replaceAll('.', '/');
  return text.replaceAll(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

function isRelative(component: string): boolean {
  return component === '' || component === '.' || component === '..';
}
