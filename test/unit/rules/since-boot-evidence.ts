import * as fc from 'fast-check';
import type { Captures } from '../../../checks/captures.ts';
import type { Conntrack } from '../../../checks/conntrack.ts';
import type { CpuTimes } from '../../../checks/cpu.ts';
import type { Nic, Nics } from '../../../checks/ethtool.ts';
import type { Firewall, FirewallPolicy, FirewallRule } from '../../../checks/firewall.ts';
import { packetsOf } from '../../../checks/firewall/ruleset.ts';
import type { Fragments } from '../../../checks/fragments.ts';
import type { Interrupts } from '../../../checks/interrupts.ts';
import type { KernelLog } from '../../../checks/kernel-log.ts';
import type { Link, Links } from '../../../checks/link.ts';
import { knownTemplates } from '../../../checks/nic-drivers.ts';
import type { NfQueues } from '../../../checks/nfqueue.ts';
import type { Lookup, Lookups } from '../../../checks/lookups.ts';
import type { Neighbours } from '../../../checks/neighbours.ts';
import type { Listener, Listeners } from '../../../checks/listeners.ts';
import type { Netlink, NetlinkSocket } from '../../../checks/netlink.ts';
import type { PortUse } from '../../../checks/port-use.ts';
import type { BpfPrograms } from '../../../checks/programs.ts';
import type { Qdisc, Qdiscs } from '../../../checks/qdisc.ts';
import type { Routes } from '../../../checks/routes.ts';
import type { Snmp } from '../../../checks/snmp.ts';
import type { DatagramSocket, SocketsValue } from '../../../checks/sockets.ts';
import type { Softnet, SoftnetCpu } from '../../../checks/softnet.ts';
import type { Subnets } from '../../../checks/subnets.ts';
import type { Sockstat } from '../../../checks/sockstat.ts';
import { Sysctl } from '../../../checks/sysctl.ts';
import type { Xfrm } from '../../../checks/xfrm.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import { linkOf } from './evidence.ts';
import { policyOf } from './lookups.ts';

const u32 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const name = fc.oneof(
  fc.constantFrom('eth0', 'eth1', 'eth0.100', 'lo', 'bond0', 'vb', '$(id)'),
  fc.string({ minLength: 1, maxLength: 15 }),
);

/** Has a value for whatever name a rule asks. */
class EveryName<Value> extends Map<string, Value> {
  readonly #valueOf: (name: string) => Value;

  constructor(named: Iterable<readonly [string, Value]>, valueOf: (name: string) => Value) {
    super(named);
    this.#valueOf = valueOf;
  }

  override get(name: string): Value {
    return super.get(name) ?? this.#valueOf(name);
  }

  override has(): boolean {
    return true;
  }
}

/** @param names those that are found by listing, too */
function everyName<Value>(value: fc.Arbitrary<Value>, names: readonly string[]) {
  return fc.func<[string], Value>(value).map(
    (valueOf) =>
      new EveryName(
        names.map((name) => [name, valueOf(name)]),
        valueOf,
      ),
  );
}

function captures(): fc.Arbitrary<Captures> {
  const socket = fc.record(
    { drops: u32, process: fc.record({ pid: fc.nat(), name: fc.string() }) },
    { requiredKeys: ['drops'] },
  );
  return fc.array(fc.tuple(fc.nat(), socket)).map((sockets) => ({ sockets: new Map(sockets) }));
}

function conntrack(): fc.Arbitrary<Conntrack> {
  const optional = { max: fc.nat(100_000), buckets: fc.nat(100_000) };
  return fc.record(
    {
      count: fc.nat(200_000),
      counters: everyName(u32, ['drop', 'insert_failed', 'invalid', 'early_drop']),
      ...optional,
    },
    { requiredKeys: ['count', 'counters'] },
  );
}

function cpu(): fc.Arbitrary<CpuTimes> {
  const one = fc.record({ cpu: fc.nat(8), total: u64, softirq: u64, steal: u64 });
  return fc.record({ cpus: fc.uniqueArray(one, { selector: ({ cpu }) => cpu }) });
}

function interrupts(): fc.Arbitrary<Interrupts> {
  const one = fc.record({
    irq: fc.nat(3),
    name,
    perCpu: fc.array(fc.tuple(fc.nat(3), u64)).map((pairs) => new Map(pairs)),
  });
  return everyName(fc.array(one), ['eth0']).map((cards) => ({ cards }));
}

function emptyCapture(): fc.Arbitrary<DropCapture> {
  return fc.record({
    backend: fc.constantFrom('tracefs', 'bpf'),
    events: fc.constant(0),
    lost: fc.nat(1000),
    hasReasons: fc.boolean(),
    drops: fc.constant([]),
  });
}

function ethtool(): fc.Arbitrary<Nics> {
  const statistic = fc.oneof(
    fc.constantFrom(...knownTemplates).map((template) => template.replaceAll('N', '0')),
    fc.constantFrom('rx_ring_drops', 'rx_dropped', 'temperature'),
    fc.string(),
  );
  const drivers = fc.constantFrom('igb', 'mlx5_core', 'ena', 'e1000', 'vmxnet3', 'acme');
  const size = fc.nat(8192);
  const nic: fc.Arbitrary<Nic> = fc.record(
    {
      statistics: fc.array(fc.tuple(statistic, u64)).map((entries) => new Map(entries)),
      txTimeouts: u64,
      settings: fc.record(
        {
          driver: drivers,
          ring: fc.record({ rx: size, rxMax: size, tx: size, txMax: size }, { requiredKeys: [] }),
          rxQueues: fc.nat(64),
          duplex: fc.constantFrom('full', 'half'),
          speedMbps: fc.nat(100_000),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  );
  return fc.array(fc.tuple(name, nic)).map((nics) => ({ interfaces: new Map(nics) }));
}

function firewall(): fc.Arbitrary<Firewall> {
  const packets = fc.option(u64);
  const entry = {
    backend: fc.constantFrom('nftables', 'iptables-nft', 'iptables-legacy'),
    tool: fc.constantFrom('nft', 'iptables', 'ip6tables-legacy'),
    family: fc.constantFrom('ip', 'ip6', 'inet', 'bridge', 'arp', 'netdev'),
    table: fc.string(),
    chain: fc.string(),
    text: fc.string(),
    owner: fc.option(fc.constant('Docker')),
    packets,
  } as const;
  const hook = fc.constantFrom(
    'ingress',
    'prerouting',
    'input',
    'forward',
    'output',
    'postrouting',
    'egress',
  );
  const rule: fc.Arbitrary<Omit<FirewallRule, 'key'>> = fc.record({
    ...entry,
    hooks: fc.array(hook, { maxLength: 3 }),
    handle: fc.option(fc.nat()),
    position: fc.nat(),
    comment: fc.option(fc.string()),
    verdict: fc.constantFrom('drop', 'reject', 'queue', 'accept', 'jump', 'return', 'none'),
  });
  const policy: fc.Arbitrary<Omit<FirewallPolicy, 'key'>> = fc.record({
    ...entry,
    hook,
    policy: fc.constantFrom('accept', 'drop'),
  });
  const tables = fc.record({
    // Keys are identities.
    rules: fc
      .array(rule)
      .map((rules) => rules.map((rule, key) => ({ ...rule, key: `rule ${key}` }))),
    policies: fc
      .array(policy)
      .map((policies) => policies.map((policy, key) => ({ ...policy, key: `policy ${key}` }))),
    unseen: fc.array(fc.string(), { maxLength: 2 }),
  });
  return tables.map((value) => ({ ...value, packets: packetsOf(value) }));
}

function fragments(): fc.Arbitrary<Fragments> {
  const memory = fc.record(
    { datagrams: fc.nat(), bytes: fc.nat(), limitBytes: fc.nat() },
    { requiredKeys: ['datagrams', 'bytes'] },
  );
  return fc.record({ ipv4: memory, ipv6: memory }, { requiredKeys: [] });
}

function neighbours(): fc.Arbitrary<Neighbours> {
  const silent = fc.record({
    count: fc.nat(1000),
    named: fc.array(fc.record({ address: fc.string(), device: name, gateway: fc.boolean() })),
  });
  return fc.record(
    {
      entries: everyName(fc.nat(), []) as fc.Arbitrary<Neighbours['entries']>,
      counters: everyName(u64, ['arp_cache.table_fulls']),
      silent,
    },
    { requiredKeys: ['entries', 'counters'] },
  );
}

function routes(): fc.Arbitrary<Routes> {
  const refusing = fc.record({
    type: fc.constantFrom('blackhole', 'unreachable', 'prohibit'),
    kind: fc.constantFrom('route', 'rule'),
    family: fc.constantFrom(4 as const, 6 as const),
    destination: fc.constantFrom('198.51.100.0/24', 'default', '2001:db8::/32'),
    text: fc.string(),
  });
  const tables = fc.record({
    refusing: fc.array(refusing),
    defaults: fc.subarray([4 as const, 6 as const]).map((families) => new Set(families)),
  });
  return fc.record(
    { failures: everyName(u64, ['rt_cache.in_no_route']), tables },
    { requiredKeys: ['failures'] },
  );
}

function lookups(): fc.Arbitrary<Lookups> {
  const answer = fc.oneof(
    fc.record({ kind: fc.constant('route' as const), device: name, local: fc.boolean() }),
    fc.record({
      kind: fc.constant('error' as const),
      error: fc.constantFrom('EINVAL' as const, 'ENETUNREACH' as const),
      text: fc.string(),
    }),
  );
  const lookup: fc.Arbitrary<Lookup> = fc.record({
    family: fc.constantFrom(4 as const, 6 as const),
    source: fc.constantFrom('10.0.0.9', '2001:db8::9'),
    destination: fc.constantFrom('198.51.100.1', '2001:db8::1'),
    interface: name,
    command: fc.string(),
    answer,
    wayBack: fc.record({ command: fc.string(), answer }),
    refusing: fc.constant([]),
  });
  return fc.record({ answers: fc.array(lookup), policy: fc.constant(policyOf()) });
}

function subnets(): fc.Arbitrary<Subnets> {
  const settings = fc.record({
    arp_ignore: fc.nat(8),
    arp_announce: fc.nat(2),
    arp_filter: fc.nat(1),
  });
  const shared = fc.record({
    network: fc.constantFrom('10.0.0.0/24', '169.254.0.0/16'),
    interfaces: fc.array(fc.tuple(name, settings)).map((entries) => new Map(entries)),
  });
  return fc.record({ shared: fc.array(shared) });
}

function xfrm(): fc.Arbitrary<Xfrm> {
  return fc.record({ counters: everyName(u64, ['XfrmInTmplMismatch', 'XfrmOutPolBlock']) });
}

function link(): fc.Arbitrary<Links> {
  const counters = Object.entries(linkOf()).filter(([, value]) => typeof value === 'bigint');
  const one: fc.Arbitrary<Link> = fc
    .record(
      {
        counters: fc.record(Object.fromEntries(counters.map(([key]) => [key, u64]))),
        ifindex: fc.nat(),
        mtu: fc.nat(65_536),
        operstate: fc.constantFrom('up', 'down', 'unknown'),
        up: fc.boolean(),
        loopback: fc.boolean(),
        kind: fc.constantFrom('veth', 'bridge', 'bond', 'vlan', 'tun', 'vxlan', 'macvlan'),
        portKind: fc.constantFrom('bridge', 'bond'),
        portState: fc.constantFrom('forwarding', 'disabled', 'ACTIVE', 'BACKUP'),
        portLimits: fc.constantFrom(['isolated'], ['locked', 'no flood']),
        miiStatus: fc.constantFrom('UP', 'DOWN'),
        bondMode: fc.constantFrom('active-backup', '802.3ad'),
        stp: fc.boolean(),
        vlanFiltering: fc.boolean(),
        address: fc.constant('02:00:00:00:00:01'),
        master: name,
        lower: name,
        rxOtherhost: u64,
        promiscuity: fc.nat(3),
        xdp: fc.boolean(),
        carrierChanges: u64,
      },
      { requiredKeys: ['counters'] },
    )
    .map(({ counters, ...rest }) => linkOf({ ...counters, ...rest }));
  return fc.array(fc.tuple(name, one)).map((links) => ({ interfaces: new Map(links) }));
}

function nfqueue(): fc.Arbitrary<NfQueues> {
  const one = fc.record({
    number: fc.nat(65_535),
    port: fc.nat(),
    waiting: fc.nat(65_535),
    queueDropped: u32,
    userDropped: u32,
    sequence: u32,
  });
  return fc.record({ queues: fc.uniqueArray(one, { selector: ({ number }) => number }) });
}

function listeners(): fc.Arbitrary<Listeners> {
  const socket: fc.Arbitrary<Listener> = fc.record(
    {
      local: fc.constantFrom('0.0.0.0:80', '127.0.0.1:8080', '[::]:443', '*:22'),
      port: fc.nat(65_535),
      queued: fc.nat(5000),
      backlog: fc.nat(4096),
      inode: fc.nat(),
      process: fc.record({ pid: fc.nat(), name: fc.string() }),
    },
    { requiredKeys: ['local', 'port', 'queued', 'backlog', 'inode'] },
  );
  const names = ['TcpExt.ListenOverflows', 'TcpExt.ListenDrops', 'Tcp.OutRsts'];
  return fc.record(
    { counters: everyName(u64, names), sockets: fc.array(socket) },
    { requiredKeys: ['counters'] },
  );
}

function netlink(): fc.Arbitrary<Netlink> {
  const socket: fc.Arbitrary<NetlinkSocket> = fc.record(
    { family: fc.nat(22), portId: fc.nat(), drops: u32, program: fc.string() },
    { requiredKeys: ['family', 'portId', 'drops'] },
  );
  return fc.array(fc.tuple(fc.nat(), socket)).map((sockets) => ({ sockets: new Map(sockets) }));
}

function portUse(): fc.Arbitrary<PortUse> {
  const busiest = fc.record({
    from: fc.constant('10.0.0.1'),
    to: fc.constantFrom('10.0.0.2:80', '[::1]:443'),
    used: fc.nat(65_536),
  });
  return fc.record({ ports: fc.nat(65_536), busiest }, { requiredKeys: ['ports'] });
}

function sockstat(): fc.Arbitrary<Sockstat> {
  const level = fc.nat(1_000_000);
  const ram = fc.record({ pages: fc.nat(2 ** 30), pageBytes: fc.constantFrom(4096, 65_536) });
  return fc.record(
    {
      tcpPages: level,
      udpPages: level,
      tcpOrphans: level,
      tcpTimeWait: level,
      tcpInUse: level,
      ram,
    },
    { requiredKeys: [] },
  );
}

function programs(): fc.Arbitrary<BpfPrograms> {
  const id = fc.nat(5);
  const holder = fc.record(
    { pid: fc.nat(), name: fc.string(), unit: fc.string() },
    { requiredKeys: ['pid', 'name'] },
  );
  const program = fc.record({
    id,
    name: fc.oneof(fc.string(), fc.constant('sd_fw_egress')),
    loadedAt: fc.string(),
    pins: fc.array(fc.string()),
    holders: fc.array(holder),
  });
  const attachment = fc.record({
    cgroup: fc.constantFrom('/', '/system.slice/web.service'),
    direction: fc.constantFrom('ingress', 'egress'),
    programs: fc.array(id),
  });
  return fc.record({
    programs: fc.array(fc.tuple(id, program)).map((pairs) => new Map(pairs)),
    attached: fc.array(attachment),
    allAttached: fc.boolean(),
    allHolders: fc.boolean(),
  });
}

function qdisc(): fc.Arbitrary<Qdiscs> {
  const one: fc.Arbitrary<Qdisc> = fc.record(
    {
      device: name,
      kind: fc.constantFrom('fq_codel', 'htb', 'noqueue', 'clsact', 'pfifo_fast'),
      handle: fc.constantFrom('0:', '8001:'),
      parent: fc.constantFrom(':1', '1:10', 'ffff:fff1'),
      bytes: u64,
      packets: u64,
      dropped: u64,
      overlimits: u64,
      requeues: u64,
      backlogBytes: u64,
      queueLength: u64,
      details: everyName(u64, ['drop_overlimit', 'ecn_mark', 'flows_plimit']),
      options: fc.constant({}),
    },
    {
      requiredKeys: [
        'device',
        'kind',
        'handle',
        'bytes',
        'packets',
        'dropped',
        'overlimits',
        'requeues',
        'backlogBytes',
        'queueLength',
        'details',
        'options',
      ],
    },
  );
  // One for each place.
  const place = ({ device, parent }: Qdisc) => `${device} ${parent}`;
  return fc.record({ qdiscs: fc.uniqueArray(one, { selector: place }) });
}

function snmp(): fc.Arbitrary<Snmp> {
  const names = ['Ip.InReceives', 'Udp.RcvbufErrors', 'TcpExt.ListenDrops', 'Ip6.InDiscards'];
  return fc.record({ counters: everyName(u64, names) });
}

function sockets(): fc.Arbitrary<SocketsValue> {
  const one: fc.Arbitrary<DatagramSocket> = fc.record(
    {
      key: fc.string(),
      protocol: fc.constantFrom('udp', 'udp6', 'raw', 'raw6'),
      local: fc.constantFrom('0.0.0.0:53', '[::1]:53'),
      peer: fc.option(fc.constant('192.0.2.1:999')),
      inode: fc.nat(),
      uid: fc.nat(),
      drops: u64,
      queueBytes: fc.nat(),
      rcvbufBytes: fc.nat(),
      process: fc.record({ pid: fc.nat(), name: fc.string() }),
    },
    { requiredKeys: ['key', 'protocol', 'local', 'peer', 'inode', 'uid', 'drops', 'queueBytes'] },
  );
  const table = fc.array(one).map((list) => new Map(list.map((socket) => [socket.key, socket])));
  return fc.record({ udp: table, raw: table });
}

function softnet(): fc.Arbitrary<Softnet> {
  const cpu: fc.Arbitrary<SoftnetCpu> = fc.record(
    {
      cpu: fc.nat(8),
      processed: u32,
      dropped: u32,
      timeSqueeze: u32,
      receivedRps: u32,
      flowLimit: u32,
      backlogLength: fc.nat(10_000),
    },
    { requiredKeys: ['cpu', 'processed', 'dropped', 'timeSqueeze'] },
  );
  return fc.record({ cpus: fc.uniqueArray(cpu, { minLength: 1, selector: ({ cpu }) => cpu }) });
}

function sysctl(): fc.Arbitrary<Sysctl> {
  const value = fc.oneof(
    fc.integer({ min: -1, max: 2 ** 31 }).map(String),
    fc.constantFrom('0', '1', '2', '4096 131072 6291456', '', 'fq_codel'),
  );
  const keys = ['all', 'default', 'eth0', 'eth0/100'].map(
    (name) => `net.ipv4.conf.${name}.rp_filter`,
  );
  return everyName(value, keys).map((values) => new Sysctl(values));
}

/**
 * What the checks may read on a machine that has been up for any time, one builder for each check id.
 * Many drops since boot, settings of any value; the live capture has seen nothing.
 */
export const sinceBoot: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  captures: captures(),
  conntrack: conntrack(),
  cpu: cpu(),
  drops: emptyCapture(),
  ethtool: ethtool(),
  firewall: firewall(),
  fragments: fragments(),
  interrupts: interrupts(),
  link: link(),
  nfqueue: nfqueue(),
  neighbours: neighbours(),
  listeners: listeners(),
  netlink: netlink(),
  // Nothing that was said before the window is in it.
  'kernel-log': fc.constant<KernelLog>({ messages: [] }),
  'port-use': portUse(),
  programs: programs(),
  qdisc: qdisc(),
  lookups: lookups(),
  routes: routes(),
  snmp: snmp(),
  sockets: sockets(),
  sockstat: sockstat(),
  softnet: softnet(),
  subnets: subnets(),
  sysctl: sysctl(),
  xfrm: xfrm(),
};
