import {
  EtherType,
  maxTopFlows,
  type DropCount,
  type DropDetails,
  type DropFlow,
  type DropSample,
} from '../../model/drops.ts';
import { reasonName } from '../reasons.ts';
import type { Location } from '../symbols.ts';
import { flowIdentity, namedFlow } from './flow.ts';
import type { RawCount, RawFlow, RawKind, RawSample, RawSite } from './layout.ts';
import type { RawCapture } from './program.ts';
import type { KernelReasons } from './reason-names.ts';

/** What makes the numbers of a capture readable. */
export interface Names {
  readonly hasReasons: boolean;
  readonly reasons: KernelReasons;
  /** By address as in RawKind. */
  readonly locations: ReadonlyMap<string, Location>;
  /** When CLOCK_MONOTONIC was 0, in microseconds since 1970. */
  readonly bootUs: number;
}

/** EtherType of what was not told apart any more; reserved, so no packet has it. */
const several = 0xffff;
const samplesPerKind = 8;

/** Every address that dropKinds() will look up. */
export function addressesOf(capture: RawCapture): ReadonlySet<string> {
  const addresses = new Set<string>();
  for (const { counts } of capture.tables)
    for (const { location } of counts) addresses.add(location);
  for (const { stack } of capture.sites) for (const frame of stack) addresses.add(frame);
  return addresses;
}

/**
 * Adds up what the CPUs counted, and names it. Addresses of one function become one entry. Ordered by
 * packets, most first.
 */
export function dropKinds(capture: RawCapture, names: Names): readonly DropCount[] {
  const kinds = new Map<string, Kind>();
  const interfaces = interfaceNames(capture);
  const kindOf = (raw: RawKind): Kind | undefined => kinds.get(keyOf(raw, names));

  for (const count of capture.tables.flatMap(({ counts }) => counts)) {
    const key = keyOf(count, names);
    const kind = kinds.get(key) ?? { first: count, packets: 0, edgePackets: 0, ...emptyDetails() };
    kinds.set(key, kind);
    kind.packets += count.packets;
    kind.edgePackets += count.edgePackets;
    kind.flowsApproximate ||= count.flowsApproximate;
    for (const flow of count.flows) addFlow(kind, flow);
  }
  const packets = capture.samples.filter(isPacket);
  for (const sample of packets.toSorted((a, b) => a.timeNs - b.timeNs)) {
    const kind = kindOf(sample);
    if (kind !== undefined && kind.samples.length < samplesPerKind) kind.samples.push(sample);
  }
  const stacks = stacksOf(capture.sites, names);

  const drops = [...kinds.values()].map((kind): DropCount => ({
    ...placeOf(kind.first, names),
    protocol: kind.first.folded ? several : kind.first.protocol,
    packets: kind.packets,
    edgePackets: kind.edgePackets,
    details: detailsOf(kind, names, interfaces, stacks),
  }));
  const overflow = capture.tables
    .map((table) => table.overflow)
    .filter(({ packets }) => packets > 0);
  if (overflow.length > 0) {
    drops.push({
      reason: names.hasReasons ? 'other' : null,
      location: 'other',
      protocol: several,
      packets: overflow.reduce((sum, { packets }) => sum + packets, 0),
      edgePackets: overflow.reduce((sum, { edgePackets }) => sum + edgePackets, 0),
    });
  }
  return drops.sort((a, b) => b.packets - a.packets);
}

/** Buffers between Unix sockets have no EtherType, and what is said there is nobody's business. */
function isPacket({ protocol }: RawSample): boolean {
  return protocol !== EtherType.None;
}

/** One kind of drop on all CPUs. */
interface Kind {
  readonly first: RawCount;
  packets: number;
  edgePackets: number;
  flowsApproximate: boolean;
  readonly flows: Map<string, { readonly flow: RawFlow; packets: number }>;
  readonly samples: RawSample[];
}

function emptyDetails(): Pick<Kind, 'flows' | 'samples' | 'flowsApproximate'> {
  return { flows: new Map(), samples: [], flowsApproximate: false };
}

function addFlow(kind: Kind, flow: RawFlow): void {
  const identity = flowIdentity(flow);
  const same = kind.flows.get(identity);
  if (same === undefined) kind.flows.set(identity, { flow, packets: flow.packets });
  else same.packets += flow.packets;
}

function detailsOf(
  kind: Kind,
  names: Names,
  interfaces: ReadonlyMap<string, string>,
  stacks: ReadonlyMap<string, readonly string[]>,
): DropDetails {
  const { first } = kind;
  const flows = [...kind.flows.values()]
    .sort((a, b) => b.packets - a.packets)
    .flatMap(
      ({ flow, packets }): DropFlow | readonly DropFlow[] => namedFlow(first, flow, packets) ?? [],
    );
  return {
    netns: first.netns === 0 ? null : first.netns,
    ifindex: first.ifindex === 0 ? null : first.ifindex,
    interface: interfaces.get(interfaceKey(first)) ?? null,
    ipProtocol: hasIpProtocol(first) ? first.ipProtocol : null,
    topFlows: flows.slice(0, maxTopFlows),
    flowCount: flows.length,
    flowsApproximate: kind.flowsApproximate,
    samples: kind.samples.map((sample) => namedSample(sample, names.bootUs)),
    stack: stacks.get(placeKey(first, names)) ?? [],
  };
}

function hasIpProtocol({ protocol, ipProtocol }: RawKind): boolean {
  return ipProtocol !== 0 && (protocol === EtherType.IPv4 || protocol === EtherType.IPv6);
}

function namedSample(sample: RawSample, bootUs: number): DropSample {
  return {
    timeUs: bootUs + Math.round(sample.timeNs / 1000),
    link: sample.link,
    length: sample.length,
    ...(sample.vlan !== 0 && { vlan: sample.vlan }),
    bytes: Buffer.from(sample.bytes).toString('base64'),
  };
}

/**
 * Names by namespace and number. A packet that a socket had already taken knows only the number, so
 * its interface may be named by another drop.
 */
function interfaceNames(capture: RawCapture): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const count of capture.tables.flatMap(({ counts }) => counts)) {
    if (count.interfaceName !== '') found.set(interfaceKey(count), count.interfaceName);
  }
  return found;
}

function interfaceKey({ netns, ifindex }: RawKind): string {
  return `${netns} ${ifindex}`;
}

/** Stacks by place, without the frames of the tracing itself, which come before the place. */
function stacksOf(sites: readonly RawSite[], names: Names): ReadonlyMap<string, readonly string[]> {
  const stacks = new Map<string, readonly string[]>();
  for (const site of sites) {
    const frames = site.stack.map((address) => locationOf(address, names).location);
    const start = frames.indexOf(locationOf(site.location, names).location);
    const key = placeKey(site, names);
    if (frames.length > 0 && !stacks.has(key)) stacks.set(key, frames.slice(Math.max(start, 0)));
  }
  return stacks;
}

function placeOf(
  raw: Pick<RawKind, 'reason' | 'location'>,
  { hasReasons, reasons, ...names }: Names,
): Pick<DropCount, 'reason' | 'location' | 'module'> {
  return {
    reason: hasReasons ? reasonName(raw.reason, reasons.names, reasons.subsystems) : null,
    ...locationOf(raw.location, names),
  };
}

function locationOf(address: string, { locations }: Pick<Names, 'locations'>): Location {
  return locations.get(address) ?? { location: `0x${address}` };
}

function placeKey(raw: Pick<RawKind, 'reason' | 'location'>, names: Names): string {
  const { location, module } = locationOf(raw.location, names);
  return JSON.stringify([raw.reason, location, module]);
}

function keyOf(raw: RawKind, names: Names): string {
  const { ifindex, netns, protocol, ipProtocol } = raw;
  return `${placeKey(raw, names)} ${netns} ${ifindex} ${protocol} ${ipProtocol}`;
}
