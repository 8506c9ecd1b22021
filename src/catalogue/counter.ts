/** What a counter of the kernel means. */
export interface Counter {
  readonly group: CounterGroup;
  /** As its source prints it: `ListenOverflows`. */
  readonly name: string;
  /** What other tools call it: `RX-DRP` of netstat. */
  readonly aliases?: readonly string[];
  /** One or two sentences. */
  readonly meaning: string;
  /**
   * Whether a rise is a loss: `yes` packets were dropped, `maybe` it depends on what they were, or it
   * is a sign of loss elsewhere, `no`.
   */
  readonly loss: 'yes' | 'maybe' | 'no';
  /** Ids of causes that make it rise, the usual one first. */
  readonly causes: readonly string[];
}

interface Source {
  readonly source: string;
  /** Shows them. Absent: `nstat` does, one by one. */
  readonly command?: string;
}

/** Where counters are. The lines of /proc/net/snmp and netstat keep their names. */
const groups = {
  Ip: { source: '/proc/net/snmp' },
  Icmp: { source: '/proc/net/snmp' },
  Tcp: { source: '/proc/net/snmp' },
  Udp: { source: '/proc/net/snmp' },
  UdpLite: { source: '/proc/net/snmp' },
  TcpExt: { source: '/proc/net/netstat' },
  IpExt: { source: '/proc/net/netstat' },
  Ip6: { source: '/proc/net/snmp6' },
  Icmp6: { source: '/proc/net/snmp6' },
  Udp6: { source: '/proc/net/snmp6' },
  UdpLite6: { source: '/proc/net/snmp6' },
  Xfrm: { source: '/proc/net/xfrm_stat', command: 'cat /proc/net/xfrm_stat' },
  softnet: { source: '/proc/net/softnet_stat', command: 'cat /proc/net/softnet_stat' },
  link: { source: '/sys/class/net/INTERFACE/statistics', command: 'ip -s -s link' },
  ethtool: { source: 'ethtool -S INTERFACE', command: 'ethtool -S INTERFACE' },
  dev: { source: '/proc/net/dev', command: 'cat /proc/net/dev' },
  qdisc: { source: 'tc -s qdisc', command: 'tc -s qdisc' },
  conntrack: { source: 'conntrack -S', command: 'conntrack -S' },
  nfqueue: {
    source: '/proc/net/netfilter/nfnetlink_queue',
    command: 'cat /proc/net/netfilter/nfnetlink_queue',
  },
  arp_cache: {
    source: '/proc/net/stat/arp_cache (IPv6: ndisc_cache)',
    command: 'cat /proc/net/stat/arp_cache',
  },
  rt_cache: { source: '/proc/net/stat/rt_cache', command: 'cat /proc/net/stat/rt_cache' },
  sockstat: { source: '/proc/net/sockstat', command: 'cat /proc/net/sockstat' },
  socket: { source: '/proc/net/udp, raw, packet and netlink', command: 'ss -uamn' },
} as const satisfies Readonly<Record<string, Source>>;

export type CounterGroup = keyof typeof groups;

/** `TcpExt.ListenOverflows`, as the checks name counters of /proc/net. */
export function counterKey({ group, name }: Counter): string {
  return `${group}.${name}`;
}

/** As other tools and documents call it: `TcpExtListenOverflows`, `softnet dropped`. */
export function counterTitle({ group, name }: Counter): string {
  if (name.startsWith(group)) return name;
  return sourceOf(group).command === undefined ? `${group}${name}` : `${group} ${name}`;
}

/** Where the counter is, and a command that shows it. */
export function counterSource(counter: Counter): Required<Source> {
  const { source, command = `nstat -az ${counterTitle(counter)}` } = sourceOf(counter.group);
  return { source, command };
}

function sourceOf(group: CounterGroup): Source {
  return groups[group];
}

type Meaning = Pick<Counter, 'meaning' | 'loss' | 'causes' | 'aliases'>;

const means =
  (loss: Counter['loss']) =>
  (meaning: string, ...causes: readonly string[]): Meaning => ({ meaning, loss, causes });

/** Each rise is a lost packet. */
export const loss = means('yes');
/** It depends on what was lost, or tells of loss elsewhere. */
export const maybe = means('maybe');
export const noLoss = means('no');

/** A table of one group, by name. */
export function counterTable(
  group: CounterGroup,
  table: Readonly<Record<string, Meaning>>,
): readonly Counter[] {
  return Object.entries(table).map(([name, meaning]) => ({ group, name, ...meaning }));
}
