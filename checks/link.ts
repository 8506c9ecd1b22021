import { defineCheck } from '../src/model/check.ts';
import { rise } from '../src/model/counter.ts';
import type { Host } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import {
  counterOf,
  isObject,
  numberOf,
  objectOf,
  parseIprouteJson,
  programOf,
  textOf,
  type BpfProgram,
  type JsonObject,
} from './iproute-json.ts';

/** Network interfaces of one namespace, with the kernel's own statistics (rtnl_link_stats64). */
export interface Links {
  /** By name, as the kernel gives it: it may hold control characters. */
  readonly interfaces: ReadonlyMap<string, Link>;
}

/**
 * Statistics the kernel keeps for every interface. The name in sysfs is `<direction>_<name>`, the
 * member of `ip -j -s -s link` is `stats64.<direction>.<name>`.
 * Meanings: Documentation/networking/statistics.rst, include/uapi/linux/if_link.h.
 */
const statistics = {
  rxPackets: ['rx', 'packets'],
  rxBytes: ['rx', 'bytes'],
  /** Sum of what the driver calls bad frames. */
  rxErrors: ['rx', 'errors'],
  /** Dropped by software: no handler for the protocol, full backlog, no memory. */
  rxDropped: ['rx', 'dropped'],
  /** Dropped by the device: no room in the ring. Not in `rxDropped`, though /proc/net/dev adds both. */
  rxMissed: ['rx', 'missed_errors'],
  rxFifo: ['rx', 'fifo_errors'],
  rxOver: ['rx', 'over_errors'],
  rxCrc: ['rx', 'crc_errors'],
  rxFrame: ['rx', 'frame_errors'],
  rxLength: ['rx', 'length_errors'],
  /** Came in on an inactive port of a bond or team. */
  rxNoHandler: ['rx', 'nohandler'],
  txPackets: ['tx', 'packets'],
  txBytes: ['tx', 'bytes'],
  txErrors: ['tx', 'errors'],
  txDropped: ['tx', 'dropped'],
  txFifo: ['tx', 'fifo_errors'],
  txCarrier: ['tx', 'carrier_errors'],
  txAborted: ['tx', 'aborted_errors'],
  /** Late collisions: only on a half-duplex link, and only if the other end is not. */
  txWindow: ['tx', 'window_errors'],
} as const satisfies Readonly<Record<string, readonly ['rx' | 'tx', string]>>;

export type Statistic = keyof typeof statistics;

/** As sysfs and the counters call it: `rx_crc_errors`. */
export function statisticName(key: Statistic): string {
  return statistics[key].join('_');
}

export interface Link extends Readonly<Record<Statistic, bigint>> {
  /** Survives a rename; a new interface of the same name has another one. */
  readonly ifindex: number;
  /**
   * Frames for another host (kernel 5.19). `ip` leaves it out while it is 0, and sysfs does not have
   * it: compare with `otherhostRise`.
   */
  readonly rxOtherhost?: bigint;
  readonly mtu: number;
  /** RFC 2863 in small letters: `up`, `down`, `lowerlayerdown`, `dormant`, `unknown` (many virtual ones). */
  readonly operstate: string;
  /** Set up by the administrator (IFF_UP). */
  readonly up: boolean;
  readonly loopback: boolean;
  /** `veth`, `vlan`, `bridge`, `bond` …; absent for hardware and loopback, and when iproute2 is missing. */
  readonly kind?: string;
  /** What it is to its master: `bridge`, `bond` … */
  readonly portKind?: string;
  /** Bond port: `ACTIVE` or `BACKUP`. Bridge port: `forwarding`, `blocking` … */
  readonly portState?: string;
  /** The bridge, bond or VRF it belongs to. */
  readonly master?: string;
  /**
   * The interface under it (VLAN, macvlan …), or the other end of a veth. Absent if that is in another
   * namespace, or iproute2 is missing.
   */
  readonly lower?: string;
  readonly vlanId?: number;
  /** Hardware address, as `02:00:00:00:00:01`. */
  readonly address?: string;
  /** Of a bridge: spanning tree runs on it. */
  readonly stp?: boolean;
  /** Of a bridge: it drops frames of VLANs that a port is not a member of. */
  readonly vlanFiltering?: boolean;
  /** Settings of a bridge port that keep frames from it or from others, as ip names them: `isolated`, `locked`, `no flood`. */
  readonly portLimits?: readonly string[];
  /** Bond: `active-backup`, `802.3ad` … */
  readonly bondMode?: string;
  /** Bond port: what the bond thinks of its link, `UP` or `DOWN`. */
  readonly miiStatus?: string;
  /** Bond of mode 802.3ad: the aggregator in use; of its ports: the one that they are in. */
  readonly aggregator?: number;
  /** Macvlan: how many broadcasts may wait to be copied, of the most generous one on that lower interface. */
  readonly broadcastQueueLength?: number;
  /** Of a VXLAN device. */
  readonly vxlanId?: number;
  /** How many users asked for all frames (captures, bridges). Sysfs tells only 0 or 1. */
  readonly promiscuity?: number;
  /** An XDP program is attached. Unknown when iproute2 is missing. */
  readonly xdp?: boolean;
  /** The programs and how they run. Unknown when iproute2 is missing. */
  readonly xdpPrograms?: readonly XdpProgram[];
  /** Queue length in packets, for qdiscs and tun devices. */
  readonly txQueueLength?: number;
  /** Times the link went up or down. */
  readonly carrierChanges?: bigint;
}

export interface XdpProgram extends BpfProgram {
  /** `generic` runs in the stack, `native` in the driver, `offload` in the card. */
  readonly mode: 'generic' | 'native' | 'offload';
}

const command = ['ip', '-j', '-s', '-s', '-d', 'link', 'show'] as const;
const directory = '/sys/class/net';

export default defineCheck<Links>({
  id: 'link',
  title: 'Network interfaces',
  sources: [command.join(' '), `${directory}/*/statistics`],
  core: true,
  // Sysfs is the slow way: 26,000 files for 1,000 interfaces.
  timeoutMs: 10_000,
  async read(host) {
    const viaIp = await readViaIp(host);
    if (viaIp.status === 'ok') return viaIp;
    const viaSysfs = await readViaSysfs(host);
    if (viaSysfs.status !== 'ok')
      return unread(viaSysfs.status, `${viaIp.reason} ${viaSysfs.reason}`);
    const note = `Read from ${directory}, which tells neither the kind of an interface, nor XDP programs, nor frames for other hosts. ${viaIp.reason}`;
    return ok(viaSysfs.value, [...(viaSysfs.notes ?? []), note]);
  },
  *counters({ interfaces }) {
    for (const [name, link] of interfaces) {
      for (const key of statisticKeys) yield [`${name}.${statisticName(key)}`, link[key]];
      yield [`${name}.rx_otherhost`, link.rxOtherhost ?? 0n];
    }
  },
});

/** How far `rxOtherhost` rose; undefined when it is 0 or this system does not count it. */
export function otherhostRise(first: Link | undefined, last: Link | undefined): number | undefined {
  if (first === undefined || last?.rxOtherhost === undefined) return undefined;
  return rise(first.rxOtherhost ?? 0n, last.rxOtherhost);
}

export const statisticKeys = Object.keys(statistics) as readonly Statistic[];

async function readViaIp(host: Host): Promise<Reading<Links>> {
  const run = await host.run(command);
  if (run.status !== 'ok') return run;
  const { stdout, exitCode } = run.value;
  // Busybox and iproute2 before 4.14 do not know -j.
  if (stdout.trim() === '') {
    return unread(
      'absent',
      `This ip cannot print JSON (exit code ${exitCode}): iproute2 4.14 or newer can.`,
    );
  }
  return parseIpLinks(stdout);
}

/** Output of `ip -j -s -s -d link show`. */
export function parseIpLinks(text: string): Reading<Links> {
  const list = parseIprouteJson(text, 'ip -j link');
  if (list.status !== 'ok') return list;
  const interfaces = new Map<string, Link>();
  for (const object of list.value) {
    const name = textOf(object, 'ifname');
    const link = linkFromJson(object);
    if (name !== undefined && link !== undefined) interfaces.set(name, link);
  }
  if (interfaces.size === 0) {
    return unread('malformed', 'ip -j link printed no interface with statistics.');
  }
  const skipped =
    list.value.filter((object) => Object.keys(object).length > 0).length - interfaces.size;
  return ok(
    { interfaces },
    skipped === 0 ? [] : [`ip -j link: entries that cannot be read: ${skipped}.`],
  );
}

function linkFromJson(object: JsonObject): Link | undefined {
  const stats = 'stats64' in object ? objectOf(object, 'stats64') : objectOf(object, 'stats');
  const ifindex = numberOf(object, 'ifindex');
  const rx = objectOf(stats, 'rx');
  const tx = objectOf(stats, 'tx');
  if (ifindex === undefined || counterOf(rx, 'packets') === undefined) return undefined;
  const { flags } = object;
  const hasFlag = (flag: string) => Array.isArray(flags) && flags.includes(flag);
  const info = objectOf(object, 'linkinfo');
  const kind = textOf(info, 'info_kind');
  const data = objectOf(info, 'info_data');
  const port = objectOf(info, 'info_slave_data');
  const ofKind = (wanted: string, key: string) =>
    kind === wanted ? numberOf(data, key) : undefined;
  return {
    ...readStatistics(([direction, name]) => counterOf(direction === 'rx' ? rx : tx, name)),
    ifindex,
    mtu: numberOf(object, 'mtu') ?? 0,
    operstate: (textOf(object, 'operstate') ?? 'unknown').toLowerCase(),
    up: hasFlag('UP'),
    loopback: hasFlag('LOOPBACK'),
    xdp: 'xdp' in object,
    ...defined({
      rxOtherhost: counterOf(rx, 'otherhost'),
      xdpPrograms: xdpPrograms(objectOf(object, 'xdp')),
      kind,
      portKind: textOf(info, 'info_slave_kind'),
      portState: textOf(port, 'state'),
      master: textOf(object, 'master'),
      lower: textOf(object, 'link'),
      vlanId: ofKind('vlan', 'id'),
      address: textOf(object, 'address'),
      stp: flagOf(ofKind('bridge', 'stp_state')),
      vlanFiltering: flagOf(ofKind('bridge', 'vlan_filtering')),
      portLimits: portLimits(port),
      bondMode: kind === 'bond' ? textOf(data, 'mode') : undefined,
      miiStatus: textOf(port, 'mii_status'),
      aggregator:
        kind === 'bond'
          ? numberOf(objectOf(data, 'ad_info'), 'aggregator')
          : numberOf(port, 'ad_aggregator_id'),
      broadcastQueueLength: ofKind('macvlan', 'usedbcqueuelen'),
      vxlanId: ofKind('vxlan', 'id'),
      promiscuity: numberOf(object, 'promiscuity'),
      txQueueLength: numberOf(object, 'txqlen'),
      carrierChanges: counterOf(tx, 'carrier_changes'),
    }),
  };
}

/** XDP_ATTACHED_DRV, _SKB and _HW of include/uapi/linux/if_link.h. */
const xdpModes: ReadonlyMap<number, XdpProgram['mode']> = new Map([
  [1, 'native'],
  [2, 'generic'],
  [3, 'offload'],
]);

/** `{"mode":2,"prog":{…},"attached":[{"mode":2,"prog":{…}}]}`; `attached` is newer, and has them all. */
function xdpPrograms(xdp: JsonObject): readonly XdpProgram[] | undefined {
  const attached: readonly unknown[] = Array.isArray(xdp['attached']) ? xdp['attached'] : [xdp];
  const programs = attached.filter(isObject).flatMap((entry) => {
    const program = programOf(objectOf(entry, 'prog'));
    const mode = xdpModes.get(numberOf(entry, 'mode') ?? 0);
    return program === undefined || mode === undefined ? [] : [{ ...program, mode }];
  });
  return programs.length === 0 ? undefined : programs;
}

function flagOf(number: number | undefined): boolean | undefined {
  return number === undefined ? undefined : number !== 0;
}

function portLimits(port: JsonObject): readonly string[] | undefined {
  const limits = [
    ...['isolated', 'locked'].filter((key) => port[key] === true),
    ...(port['flood'] === false ? ['no flood'] : []),
  ];
  return limits.length === 0 ? undefined : limits;
}

const attributes = [
  'ifindex',
  'mtu',
  'operstate',
  'flags',
  'tx_queue_len',
  'carrier_changes',
  'master/ifindex',
] as const;

async function readViaSysfs(host: Host): Promise<Reading<Links>> {
  const names = await host.list(directory);
  if (names.status !== 'ok') return names;
  const files: readonly string[] = [
    ...attributes,
    ...statisticKeys.map((key) => `statistics/${statisticName(key)}`),
  ];
  const paths = names.value.flatMap((name) => files.map((file) => `${directory}/${name}/${file}`));
  const readings = await host.readFiles(paths);
  const interfaces = new Map<string, SysfsLink>();
  for (const [index, name] of names.value.entries()) {
    const texts = readings.slice(index * files.length, (index + 1) * files.length);
    const link = linkFromSysfs(
      new Map(
        texts.flatMap((text, at) =>
          text.status === 'ok' ? [[files[at] ?? '', text.value.trim()]] : [],
        ),
      ),
    );
    // Not an interface (bonding_masters is a file), or it vanished while we read.
    if (link !== undefined) interfaces.set(name, link);
  }
  return interfaces.size === 0
    ? unread('malformed', `${directory} has no interface that can be read.`)
    : ok({ interfaces: withMasterNames(interfaces) });
}

/** Sysfs names other interfaces by number only. */
type SysfsLink = Link & { readonly masterIfindex?: number };

function linkFromSysfs(files: ReadonlyMap<string, string>): SysfsLink | undefined {
  const number = (file: string) => parseInteger(files.get(file));
  const count = (file: string) => {
    const text = files.get(file) ?? '';
    return /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  };
  const ifindex = number('ifindex');
  if (ifindex === undefined || count('statistics/rx_packets') === undefined) return undefined;
  const flags = number('flags') ?? 0;
  return {
    ...readStatistics((names) => count(`statistics/${names.join('_')}`)),
    ifindex,
    mtu: number('mtu') ?? 0,
    operstate: files.get('operstate') ?? 'unknown',
    up: (flags & IFF.UP) !== 0,
    loopback: (flags & IFF.LOOPBACK) !== 0,
    promiscuity: (flags & IFF.PROMISC) === 0 ? 0 : 1,
    ...defined({
      txQueueLength: number('tx_queue_len'),
      carrierChanges: count('carrier_changes'),
      masterIfindex: number('master/ifindex'),
    }),
  };
}

/** include/uapi/linux/if.h */
const IFF = { UP: 0x1, LOOPBACK: 0x8, PROMISC: 0x100 } as const;

function withMasterNames(interfaces: ReadonlyMap<string, SysfsLink>): Map<string, Link> {
  const names = new Map([...interfaces].map(([name, link]) => [link.ifindex, name]));
  const named = new Map<string, Link>();
  for (const [name, { masterIfindex, ...link }] of interfaces) {
    const master = masterIfindex === undefined ? undefined : names.get(masterIfindex);
    named.set(name, master === undefined ? link : { ...link, master });
  }
  return named;
}

/** A statistic this kernel does not have counts as one that never moves. */
function readStatistics(
  read: (names: (typeof statistics)[Statistic]) => bigint | undefined,
): Record<Statistic, bigint> {
  const entries = statisticKeys.map((key) => [key, read(statistics[key]) ?? 0n] as const);
  return Object.fromEntries(entries) as Record<Statistic, bigint>;
}

function parseInteger(text: string | undefined): number | undefined {
  return text !== undefined && /^(?:\d{1,15}|0x[0-9a-f]{1,8})$/i.test(text)
    ? Number(text)
    : undefined;
}

type Defined<Values> = { [Name in keyof Values]?: NonNullable<Values[Name]> };

/** Leaves out members that are undefined, as exactOptionalPropertyTypes wants it. */
function defined<Values extends object>(values: Values): Defined<Values> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Defined<Values>;
}
