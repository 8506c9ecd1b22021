import { readdirSync } from 'node:fs';
import captures from '../../../checks/captures.ts';
import conntrack from '../../../checks/conntrack.ts';
import cpu from '../../../checks/cpu.ts';
import drops from '../../../checks/drops.ts';
import ethtool from '../../../checks/ethtool.ts';
import firewall from '../../../checks/firewall.ts';
import fragments from '../../../checks/fragments.ts';
import interrupts from '../../../checks/interrupts.ts';
import kernelLog, { type Subject } from '../../../checks/kernel-log.ts';
import link from '../../../checks/link.ts';
import listeners from '../../../checks/listeners.ts';
import lookups from '../../../checks/lookups.ts';
import neighbours from '../../../checks/neighbours.ts';
import netlink from '../../../checks/netlink.ts';
import nfqueue from '../../../checks/nfqueue.ts';
import portUse from '../../../checks/port-use.ts';
import programs from '../../../checks/programs.ts';
import qdisc from '../../../checks/qdisc.ts';
import routes from '../../../checks/routes.ts';
import snmp from '../../../checks/snmp.ts';
import sockets from '../../../checks/sockets.ts';
import sockstat from '../../../checks/sockstat.ts';
import softnet from '../../../checks/softnet.ts';
import subnets from '../../../checks/subnets.ts';
import sysctl from '../../../checks/sysctl.ts';
import xfrm from '../../../checks/xfrm.ts';
import type { EvidenceOf } from '../../../src/model/check.ts';
import {
  capture,
  conntrackOf,
  firewallOf,
  programsOf,
  sampled,
  settings,
  snmpRise,
  softnetRise,
  type Counters,
} from './evidence.ts';
import { cardWindow } from './nic-evidence.ts';

const checks = {
  captures,
  conntrack,
  cpu,
  drops,
  ethtool,
  firewall,
  fragments,
  interrupts,
  'kernel-log': kernelLog,
  link,
  listeners,
  lookups,
  neighbours,
  netlink,
  nfqueue,
  'port-use': portUse,
  programs,
  qdisc,
  routes,
  snmp,
  sockets,
  sockstat,
  softnet,
  subnets,
  sysctl,
  xfrm,
};

/** What every check read in a window, by check id. */
export type HostEvidence = {
  readonly [Id in keyof typeof checks]: EvidenceOf<(typeof checks)[Id]>;
};

/**
 * A cause at work on a host where all else is well. every-rule.test.ts makes four tests of it: that it
 * fires, from where on, that no other rule takes it for its own, and that a look less never says more.
 */
export interface Example {
  /** Id of the rule. */
  readonly rule: string;
  /** What the checks read while it costs `amount` packets (or whatever it is a matter of) in five seconds. */
  readonly evidence: (amount: number) => Partial<HostEvidence>;
  /** From so much on it is a cause; one less is none. `never`: it only explains drops. */
  readonly causeFrom: number | 'never';
  /** So much that there is no doubt. Default: 500. */
  readonly clear?: number;
  /** Other causes that the same evidence shows: what it follows from, or what follows from it. */
  readonly beside?: readonly string[];
}

/** All that the files in examples/ tell. */
export const examples: readonly Example[] = await load(new URL('examples/', import.meta.url));

async function load(folder: URL): Promise<readonly Example[]> {
  const modules = await Promise.all(
    readdirSync(folder).map(
      async (file) => (await import(new URL(file, folder).href)) as { default: readonly Example[] },
    ),
  );
  return modules.flatMap((module) => module.default);
}

const ORDINARY: Counters = {
  'Ip.InReceives': 10_000,
  'Ip.InDelivers': 10_000,
  'Ip.OutRequests': 10_000,
  'Ip.OutTransmits': 10_000,
  'Tcp.InSegs': 5000,
  'Tcp.OutSegs': 5000,
  'Tcp.PassiveOpens': 500,
  'Udp.InDatagrams': 4000,
  'Udp.OutDatagrams': 4000,
};

/** Ordinary traffic, and these rises. */
export function traffic(rises: Counters): HostEvidence['snmp'] {
  return snmpRise({ ...ORDINARY, ...rises });
}

/** What whydrop reads on a host that loses nothing. */
export function healthyHost(): HostEvidence {
  const nothing = <Value>(value: Value) => sampled(value, value);
  return {
    captures: nothing({ sockets: new Map() }),
    conntrack: nothing(
      conntrackOf({ count: 100, max: 65_536, buckets: 65_536 }, { drop: 5, insert_failed: 5 }),
    ),
    cpu: cpuTimes([{}, {}]),
    drops: capture([]),
    ...cardWindow({ driver: 'igb' }),
    firewall: nothing(firewallOf()),
    fragments: nothing({ ipv4: { datagrams: 0, bytes: 0, limitBytes: 4_194_304 } }),
    interrupts: nothing({ cards: new Map() }),
    'kernel-log': nothing({ messages: [] }),
    listeners: nothing({ counters: new Map(), sockets: [] }),
    lookups: { answers: [], policy: new Map() },
    neighbours: nothing({
      entries: new Map([['arp_cache' as const, 10]]),
      counters: new Map([['arp_cache.table_fulls', 5n]]),
      silent: { count: 0, named: [] },
    }),
    netlink: nothing({ sockets: new Map() }),
    nfqueue: nothing({ queues: [] }),
    'port-use': nothing({ ports: 28_232 }),
    programs: programsOf(),
    qdisc: nothing({ qdiscs: [] }),
    routes: nothing({ failures: new Map(), tables: { refusing: [], defaults: new Set([4, 6]) } }),
    snmp: traffic({}),
    sockets: nothing({ udp: new Map(), raw: new Map() }),
    sockstat: nothing({ tcpPages: 10, udpPages: 10, tcpOrphans: 0, tcpTimeWait: 0 }),
    softnet: softnetRise([{ processed: 5000 }, { processed: 5000 }]),
    subnets: nothing({ shared: [] }),
    sysctl: settings({}),
    xfrm: nothing({ counters: new Map() }),
  };
}

/** Of eth0, so often in the window. */
export function kernelSays(about: Subject, times: number): HostEvidence['kernel-log'] {
  const message = { about, text: 'as the kernel says it', interface: 'eth0' };
  return sampled({ messages: [] }, { messages: Array.from({ length: times }, () => message) });
}

/** Five seconds are 500 ticks. */
const TICKS = 500;

export interface CpuLoad {
  readonly softirq?: number;
  readonly steal?: number;
  readonly ticks?: number;
}

export function cpuTimes(loads: readonly CpuLoad[]): HostEvidence['cpu'] {
  const at = (add: boolean) => ({
    cpus: loads.map(({ softirq = 0, steal = 0, ticks = TICKS }, cpu) => {
      const since = (rise: number) => 100_000n + BigInt(add ? rise : 0);
      return { cpu, total: since(ticks), softirq: since(softirq), steal: since(steal) };
    }),
  });
  return sampled(at(false), at(true));
}
