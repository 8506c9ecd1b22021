import type { Conntrack } from '../../../checks/conntrack.ts';
import type { Firewall } from '../../../checks/firewall.ts';
import { packetsOf } from '../../../checks/firewall/ruleset.ts';
import type { Link, Links } from '../../../checks/link.ts';
import type { BpfPrograms, LoadedProgram } from '../../../checks/programs.ts';
import type { Snmp } from '../../../checks/snmp.ts';
import type { Softnet, SoftnetCpu } from '../../../checks/softnet.ts';
import { Sysctl } from '../../../checks/sysctl.ts';
import type { Sampled } from '../../../src/model/check.ts';
import type { DropCapture, DropCount, DropDetails } from '../../../src/model/drops.ts';
import type { CauseFinding, Finding, JudgeWindow } from '../../../src/model/rule.ts';

/** Evidence for rules in a few words; numbers become counters. */

export const window: JudgeWindow = {
  seconds: 5,
  foreignNetns: false,
  severalNetns: false,
  interfaces: [],
};
/** Under diagnosis is a namespace that the user named. */
export const foreign: JudgeWindow = { ...window, foreignNetns: true, severalNetns: true };

export function sampled<Value>(first: Value, last: Value): Sampled<Value> {
  return { first, last, samples: [first, last] };
}

export type Counters = Readonly<Record<string, number>>;

/** Rises from a total since boot. */
export function snmpRise(rises: Counters, sinceBoot = 1000): Sampled<Snmp> {
  const at = (add: boolean): Snmp => ({
    counters: new Map(
      Object.entries(rises).map(([name, rise]) => [name, BigInt(sinceBoot + (add ? rise : 0))]),
    ),
  });
  return sampled(at(false), at(true));
}

/** What was listed, and all of it counted where it counts. */
export function firewallOf({ rules = [], policies = [] }: Partial<Firewall> = {}): Firewall {
  return { rules, policies, packets: packetsOf({ rules, policies }), unseen: [] };
}

export function settings(values: Readonly<Record<string, string | number>>): Sampled<Sysctl> {
  const sysctl = new Sysctl(
    new Map(Object.entries(values).map(([key, value]) => [key, String(value)])),
  );
  return sampled(sysctl, sysctl);
}

export function linkOf(link: Partial<Link> = {}): Link {
  return {
    ifindex: 2,
    mtu: 1500,
    operstate: 'up',
    up: true,
    loopback: false,
    rxPackets: 0n,
    rxBytes: 0n,
    rxErrors: 0n,
    rxDropped: 0n,
    rxMissed: 0n,
    rxFifo: 0n,
    rxOver: 0n,
    rxCrc: 0n,
    rxFrame: 0n,
    rxLength: 0n,
    rxNoHandler: 0n,
    txPackets: 0n,
    txBytes: 0n,
    txErrors: 0n,
    txDropped: 0n,
    txFifo: 0n,
    txCarrier: 0n,
    txAborted: 0n,
    txWindow: 0n,
    ...link,
  };
}

/** Interfaces as they are, with what they counted in the window, on top of totals since boot. */
export function links(of: Readonly<Record<string, Partial<Link>>>): Sampled<Links> {
  const at = (add: boolean) =>
    new Map(
      Object.entries(of).map(([name, link]) => {
        const counters: readonly (readonly [string, bigint])[] = Object.entries(link)
          .filter(([, value]) => typeof value === 'bigint')
          .map(
            ([key, value]) =>
              [key, 1000n + (add && typeof value === 'bigint' ? value : 0n)] as const,
          );
        return [name, linkOf({ ...link, ...Object.fromEntries<bigint>(counters) })] as const;
      }),
    );
  return sampled({ interfaces: at(false) }, { interfaces: at(true) });
}

/** Interfaces by name, with what they counted in the window. */
export function linkRise(rises: Readonly<Record<string, Partial<Link>>>): Sampled<Links> {
  const interfaces = new Map(Object.entries(rises).map(([name, link]) => [name, linkOf(link)]));
  const before = new Map(
    [...interfaces].map(([name, link]) => [
      name,
      { ...link, rxPackets: 0n, rxDropped: 0n, rxMissed: 0n, rxFifo: 0n },
    ]),
  );
  return sampled({ interfaces: before }, { interfaces });
}

/** Interfaces whose rx_dropped rose. */
export function rxDroppedRise(rises: Readonly<Record<string, bigint>>): Sampled<Links> {
  const links = Object.entries(rises).map(([name, rxDropped]) => [name, { rxDropped }] as const);
  return linkRise(Object.fromEntries(links));
}

export type CpuRise = Partial<
  Record<'processed' | 'dropped' | 'timeSqueeze' | 'flowLimit', number>
>;

/** One entry for each CPU; rises from totals since boot. */
export function softnetRise(cpus: readonly CpuRise[], sinceBoot = 500): Sampled<Softnet> {
  const at = (add: boolean): Softnet => ({
    cpus: cpus.map(
      ({ processed = 0, dropped = 0, timeSqueeze = 0, flowLimit = 0 }, cpu): SoftnetCpu => {
        // As wide as in the kernel.
        const count = (rise: number) => BigInt.asUintN(32, BigInt(sinceBoot + (add ? rise : 0)));
        return {
          cpu,
          processed: count(processed),
          dropped: count(dropped),
          timeSqueeze: count(timeSqueeze),
          flowLimit: count(flowLimit),
        };
      },
    ),
  });
  return sampled(at(false), at(true));
}

export function conntrackOf(
  conntrack: Partial<Omit<Conntrack, 'counters'>>,
  counters: Counters = {},
): Conntrack {
  return {
    count: 0,
    ...conntrack,
    counters: new Map(Object.entries(counters).map(([name, count]) => [name, BigInt(count)])),
  };
}

type Drop = Partial<DropCount> & Pick<DropCount, 'packets'>;

export function capture(drops: readonly Drop[], hasReasons = true): DropCapture {
  return {
    backend: 'tracefs',
    events: drops.reduce((sum, { packets }) => sum + packets, 0),
    lost: 0,
    hasReasons,
    drops: drops.map((drop) => ({
      reason: hasReasons ? 'NOT_SPECIFIED' : null,
      location: 'somewhere',
      protocol: 0x0800,
      edgePackets: 0,
      ...drop,
    })),
  };
}

/** Drops of one kind. */
export function dropped(
  reason: string,
  location: string,
  packets: number,
  more: Partial<DropCount> = {},
): DropCapture {
  return capture(packets === 0 ? [] : [{ reason, location, packets, ...more }]);
}

/** What only the BPF capture knows. */
export function detailsOf(details: Partial<DropDetails>): Pick<DropCount, 'details'> {
  const flows = details.topFlows ?? [];
  return {
    details: {
      netns: 1,
      ifindex: 2,
      interface: 'eth0',
      ipProtocol: 17,
      topFlows: flows,
      flowCount: flows.length,
      flowsApproximate: false,
      samples: [],
      stack: [],
      ...details,
    },
  };
}

/** As the BPF capture tells. */
export function details(known: Partial<DropDetails> = {}): DropDetails {
  return {
    netns: null,
    ifindex: null,
    interface: null,
    ipProtocol: null,
    topFlows: [],
    flowCount: 0,
    flowsApproximate: false,
    samples: [],
    stack: [],
    ...known,
  };
}

export function causesOf(findings: readonly Finding[]): readonly CauseFinding[] {
  return findings.filter((finding) => finding.kind === 'cause');
}

interface Programs {
  readonly programs?: readonly LoadedProgram[];
  readonly attached?: BpfPrograms['attached'];
  readonly allAttached?: boolean;
  readonly allHolders?: boolean;
}

/** What the last reading found; the first one does not look. */
export function programsOf({
  programs = [],
  attached = [],
  allAttached = true,
  allHolders = true,
}: Programs = {}): Sampled<BpfPrograms> {
  const first = { programs: new Map(), attached: [], allAttached: false, allHolders: false };
  const byId = new Map(programs.map((program) => [program.id, program]));
  return sampled<BpfPrograms>(first, { programs: byId, attached, allAttached, allHolders });
}

export function heldByAgent(id: number): LoadedProgram {
  const holders = [{ pid: 812, name: 'agent', unit: 'agent.service' }];
  return { id, name: 'deny', loadedAt: '2026-11-22T09:00:00.000Z', pins: [], holders };
}
