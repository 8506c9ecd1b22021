import { defineCheck } from '../src/model/check.ts';
import type { View } from '../src/model/host.ts';
import { ok, unread } from '../src/model/reading.ts';
import { interfaceKey, isHostWide, sysctlPath } from '../src/model/sysctl-key.ts';

/** Kernel settings of the network, by dotted key (src/model/sysctl-key.ts). */
export class Sysctl {
  /** Trimmed text of each setting that could be read. A key that is missing: not on this kernel, or not readable. */
  readonly values: ReadonlyMap<string, string>;
  /** RPS masks that are not zero: interface → receive queue (`rx-0`) → mask as the kernel prints it (`00,00000003`). */
  readonly rpsMasks: ReadonlyMap<string, ReadonlyMap<string, string>>;

  constructor(
    values: ReadonlyMap<string, string>,
    rpsMasks: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map(),
  ) {
    this.values = values;
    this.rpsMasks = rpsMasks;
  }

  text(key: string): string | undefined {
    return this.values.get(key);
  }

  /** A setting of one number. Undefined if missing or not one. */
  number(key: string): number | undefined {
    const numbers = this.numbers(key);
    return numbers?.length === 1 ? numbers[0] : undefined;
  }

  /** A setting of several numbers: `net.ipv4.udp_mem` is min, pressure, max in pages. */
  numbers(key: string): readonly number[] | undefined {
    const words = this.values.get(key)?.split(/\s+/);
    return words?.every((word) => /^-?\d{1,15}$/.test(word)) === true
      ? words.map(Number)
      : undefined;
  }

  /** Per-interface setting: `forInterface('net.ipv4.conf', 'eth0.100', 'rp_filter')`. */
  forInterface(tree: InterfaceTree, name: string, setting: string): number | undefined {
    const key = interfaceKey(tree, name, setting);
    return key === undefined ? undefined : this.number(key);
  }
}

type InterfaceTree = 'net.ipv4.conf' | 'net.ipv6.conf';

/** Settings the rules ask for, beside those of each interface. */
const keys = [
  'net.core.netdev_max_backlog',
  'net.core.netdev_budget',
  'net.core.netdev_budget_usecs',
  'net.core.dev_weight',
  'net.core.rmem_max',
  'net.core.rmem_default',
  'net.core.wmem_max',
  'net.core.wmem_default',
  'net.core.somaxconn',
  'net.core.flow_limit_cpu_bitmap',
  'net.core.flow_limit_table_len',
  'net.core.rps_sock_flow_entries',
  'net.core.default_qdisc',
  'net.ipv4.ip_forward',
  'net.ipv4.udp_mem',
  'net.ipv4.udp_rmem_min',
  'net.ipv4.udp_wmem_min',
  'net.ipv4.tcp_mem',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
  'net.ipv4.tcp_moderate_rcvbuf',
  'net.ipv4.tcp_max_syn_backlog',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_abort_on_overflow',
  'net.ipv4.tcp_max_orphans',
  'net.ipv4.tcp_max_tw_buckets',
  'net.ipv4.tcp_tw_reuse',
  'net.ipv4.tcp_timestamps',
  'net.ipv4.ipfrag_high_thresh',
  'net.ipv4.ipfrag_low_thresh',
  'net.ipv4.ipfrag_time',
  'net.ipv4.ipfrag_max_dist',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.icmp_ratelimit',
  'net.ipv4.icmp_msgs_per_sec',
  'net.ipv4.icmp_echo_ignore_all',
  'net.ipv4.neigh.default.gc_thresh1',
  'net.ipv4.neigh.default.gc_thresh2',
  'net.ipv4.neigh.default.gc_thresh3',
  'net.ipv4.neigh.default.unres_qlen_bytes',
  'net.ipv6.ip6frag_high_thresh',
  'net.ipv6.neigh.default.gc_thresh1',
  'net.ipv6.neigh.default.gc_thresh2',
  'net.ipv6.neigh.default.gc_thresh3',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_buckets',
  'net.netfilter.nf_conntrack_tcp_timeout_established',
  'net.netfilter.nf_conntrack_tcp_be_liberal',
  'net.netfilter.nf_conntrack_tcp_loose',
  'net.netfilter.nf_conntrack_udp_timeout',
  'net.netfilter.nf_conntrack_udp_timeout_stream',
  'net.netfilter.nf_conntrack_log_invalid',
  'net.bridge.bridge-nf-call-iptables',
  'net.bridge.bridge-nf-call-ip6tables',
  'net.unix.max_dgram_qlen',
] as const;

/** Settings of each interface, and of `all` and `default`. */
const interfaceSettings: Readonly<Record<InterfaceTree, readonly string[]>> = {
  'net.ipv4.conf': ['rp_filter', 'forwarding', 'accept_local', 'src_valid_mark'],
  'net.ipv6.conf': ['disable_ipv6', 'forwarding'],
};
const trees = Object.keys(interfaceSettings) as readonly InterfaceTree[];

const netDirectory = '/sys/class/net';

const sharedFiles = filesOf(keys.filter(isHostWide));
const ownFiles = filesOf(keys.filter((key) => !isHostWide(key)));

export default defineCheck<Sysctl>({
  id: 'sysctl',
  title: 'Kernel settings',
  sources: ['sysctl net', `${netDirectory}/*/queues/rx-*/rps_cpus`],
  // 7,000 files for 1,000 interfaces.
  timeoutMs: 10_000,
  async read(host, { phase }) {
    // Of the settings those at the end of the window count: the many ones of interfaces are read only then.
    const listing = phase === 'last' ? await host.list(netDirectory) : ok([]);
    const interfaces = listing.status === 'ok' ? listing.value : [];
    const ofInterfaces = ['all', 'default', ...interfaces].map(filesOfInterface);
    const unfit = ofInterfaces.filter((files) => files === undefined).length;
    const [shared, own, rpsMasks] = await Promise.all([
      readKeys(host.initial, sharedFiles),
      readKeys(host, [...ownFiles, ...ofInterfaces.flatMap((files) => files ?? [])]),
      readRpsMasks(host, interfaces),
    ]);
    const values = new Map([...shared, ...own]);
    if (values.size === 0) return unread('absent', 'No setting below /proc/sys/net can be read.');

    const notes: string[] = [];
    if (listing.status !== 'ok') notes.push(`Settings of interfaces: ${listing.reason}`);
    if (unfit > 0)
      notes.push(
        `Interfaces whose name no sysctl key can hold: ${unfit}. Their settings were not read.`,
      );
    if (!values.has('net.core.netdev_max_backlog')) {
      notes.push(
        'Settings of the whole host (net.core.netdev_max_backlog and others) cannot be seen from this network namespace.',
      );
    }
    return ok(new Sysctl(values, rpsMasks), notes);
  },
});

interface SysctlFile {
  readonly key: string;
  readonly path: string;
}

function filesOf(wanted: readonly string[]): readonly SysctlFile[] {
  return wanted.flatMap((key) => {
    const path = sysctlPath(key);
    return path === undefined ? [] : [{ key, path }];
  });
}

/** Undefined: no key can hold the name. Of each tree one key is examined: only the last word differs. */
function filesOfInterface(name: string): readonly SysctlFile[] | undefined {
  const files: SysctlFile[] = [];
  for (const tree of trees) {
    const key = interfaceKey(tree, name, 'x');
    const path = key === undefined ? undefined : sysctlPath(key);
    if (key === undefined || path === undefined) return undefined;
    for (const setting of interfaceSettings[tree]) {
      files.push({ key: key.slice(0, -1) + setting, path: path.slice(0, -1) + setting });
    }
  }
  return files;
}

async function readKeys(
  view: View,
  files: readonly SysctlFile[],
): Promise<ReadonlyMap<string, string>> {
  const readings = await view.readFiles(files.map(({ path }) => path));
  const values = new Map<string, string>();
  for (const [index, { key }] of files.entries()) {
    const reading = readings[index];
    if (reading?.status === 'ok') values.set(key, reading.value.trim());
  }
  return values;
}

async function readRpsMasks(
  view: View,
  interfaces: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const queues = (
    await Promise.all(
      interfaces.map(async (name) => {
        const list = await view.list(`${netDirectory}/${name}/queues`);
        if (list.status !== 'ok') return [];
        return list.value
          .filter((queue) => queue.startsWith('rx-'))
          .map((queue) => ({
            name,
            queue,
            path: `${netDirectory}/${name}/queues/${queue}/rps_cpus`,
          }));
      }),
    )
  ).flat();
  const readings = await view.readFiles(queues.map(({ path }) => path));
  const masks = new Map<string, Map<string, string>>();
  for (const [index, { name, queue }] of queues.entries()) {
    const reading = readings[index];
    const mask = reading?.status === 'ok' ? reading.value.trim() : '';
    if (!/[1-9a-f]/i.test(mask)) continue;
    const ofInterface = masks.get(name) ?? new Map<string, string>();
    masks.set(name, ofInterface.set(queue, mask));
  }
  return masks;
}
