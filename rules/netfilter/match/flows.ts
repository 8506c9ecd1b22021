import type { LocalAddresses, Prefix } from '../../../checks/firewall.ts';
import { EtherType, type DropCount, type DropFlow } from '../../../src/model/drops.ts';
import { amongMany, parseAddress, parseMac, type Quantity } from './intervals.ts';
import type { InterfaceKind, Packet } from './packet.ts';
import { PLACES, type Place } from './places.ts';

/** Dropped packets of which the same is known. */
export interface Flow {
  readonly drop: DropCount;
  /** Absent: all packets of that kind whose flows are not known. */
  readonly flow?: DropFlow;
  readonly packets: number;
  readonly packet: Packet;
}

/** What is known of the namespace, beside its rules. */
export interface Surroundings {
  /** Types that the routes may give an address. */
  readonly typesOf: (address: Quantity | undefined) => ReadonlySet<string>;
  /** Packets that connection tracking called invalid. Undefined: not known. */
  readonly invalid: number | undefined;
  /** By name. Undefined: not known. */
  readonly kindOf: (name: string) => InterfaceKind | undefined;
  readonly severalNetns: boolean;
}

/** Of a flow's packets, so few may be invalid without the flow being so: a host has some in every window. */
const INVALID_SHARE = 0.01;

/** All packets of a kind of drop: its busiest flows, and the rest of it. */
export function flowsOf(
  drop: DropCount,
  { typesOf, invalid, kindOf, severalNetns }: Surroundings,
): readonly Flow[] {
  const { details, protocol, packets } = drop;
  const name = details?.interface ?? undefined;
  const interfaceKind = name === undefined ? undefined : kindOf(name);
  const of = (count: number): Packet => ({
    etherType: protocol,
    ctStates: ctStates(count, invalid),
    sourceTypes: typesOf(undefined),
    destinationTypes: typesOf(undefined),
    ...(details !== undefined && details.ipProtocol !== null && { ipProtocol: details.ipProtocol }),
    ...(name !== undefined && { interface: name }),
    ...(interfaceKind !== undefined && { interfaceKind }),
    isHere: details === undefined ? !severalNetns : name !== undefined,
  });
  const known = (details?.topFlows ?? []).map((flow): Flow => {
    const [source, destination] = [parseAddress(flow.source), parseAddress(flow.destination)];
    return {
      drop,
      flow,
      packets: flow.packets,
      packet: {
        ...of(flow.packets),
        ...headersOf(flow),
        ...(source !== undefined && { source }),
        ...(destination !== undefined && { destination }),
        sourceTypes: typesOf(source),
        destinationTypes: typesOf(destination),
      },
    };
  });
  const rest = known.reduce((left, flow) => left - flow.packets, packets);
  return rest > 0 ? [...known, { drop, packets: rest, packet: of(rest) }] : known;
}

function headersOf(
  flow: DropFlow,
): Pick<Packet, 'ports' | 'icmp' | 'arpOperation' | 'vlan' | 'macs'> {
  const { ports, icmp, arpOperation, vlan = 0 } = flow;
  const [source, destination] = [parseMac(flow.source), parseMac(flow.destination)];
  return {
    ...(ports !== undefined && { ports }),
    ...(icmp !== undefined && { icmp }),
    ...(arpOperation !== undefined && { arpOperation }),
    ...(source !== undefined && destination !== undefined && { macs: { source, destination } }),
    vlan,
  };
}

const CT_STATES = ['new', 'established', 'related', 'untracked'];

function ctStates(packets: number, invalid: number | undefined): ReadonlySet<string> {
  const mayBeInvalid = invalid === undefined || invalid > packets * INVALID_SHARE;
  return new Set(mayBeInvalid ? ['invalid', ...CT_STATES] : CT_STATES);
}

/** Of destinations that this host takes in. */
const OURS = ['local', 'broadcast', 'multicast'];
const OTHERS = ['unicast', 'anycast', 'blackhole', 'unreachable', 'prohibit', 'unspec'];

/** Prepared for many addresses of one version of IP (inet_addr_type, ipv6_addr_type). */
export function addressTypes(
  protocol: number,
  addresses: LocalAddresses | undefined,
): Surroundings['typesOf'] {
  const all = new Set([...OURS, ...OTHERS]);
  const multicast = { prefix: protocol === EtherType.IPv6 ? 'ff00::' : '224.0.0.0' };
  const isMulticast = amongMany([{ ...multicast, bits: protocol === EtherType.IPv6 ? 8 : 4 }]);
  const ofProtocol = (values: readonly (string | Prefix)[]) =>
    amongMany(values.filter((value) => versionOf(value) === protocol));
  const isLocal = ofProtocol(addresses?.local ?? []);
  const isBroadcast = ofProtocol(['255.255.255.255', ...(addresses?.broadcast ?? [])]);
  return (address) => {
    if (address === undefined || addresses === undefined) return all;
    if (isMulticast(address) === 'yes') return new Set(['multicast']);
    if (isBroadcast(address) === 'yes') return new Set(['broadcast']);
    return new Set(isLocal(address) === 'yes' ? ['local'] : OTHERS);
  };
}

function versionOf(value: string | Prefix): number {
  const text = typeof value === 'string' ? value : value.prefix;
  return text.includes(':') ? EtherType.IPv6 : EtherType.IPv4;
}

/** Where such packets can have been, by what their interface is, and whose addresses they have there. */
export function placesOf(packet: Packet): readonly Place[] {
  const { etherType, interfaceKind, sourceTypes, destinationTypes } = packet;
  const isIp = etherType === EtherType.IPv4 || etherType === EtherType.IPv6;
  const isArp = etherType === EtherType.ARP;
  const toUs = OURS.some((type) => destinationTypes.has(type));
  const toOthers =
    destinationTypes.has('multicast') || OTHERS.some((type) => destinationTypes.has(type));
  const fromUs = sourceTypes.has('local');
  const fromOthers = [...OURS, ...OTHERS].some((type) => type !== 'local' && sourceTypes.has(type));
  const cameIn = toUs || fromOthers;
  const goesOut = fromUs || toOthers;
  // In the IP layer and to ARP no packet has a bridge port for its device; and what a bridge passes on may be anybody's.
  const isPort = interfaceKind === 'bridge port';
  const isBridged = isPort || interfaceKind === undefined;
  const isAtIp = isIp && !isPort;
  const isAtArp = isArp && !isPort;
  const isPossible: Readonly<Record<string, boolean>> = {
    ingress: !isIp || isBridged || cameIn,
    'bridge prerouting': isBridged,
    // What it takes for itself; but LLDP and the like, which no bridge passes on, still have the port (br_handle_frame).
    'bridge input': isPort ? !isIp && !isArp : interfaceKind !== 'other',
    'arp input': isAtArp,
    prerouting: isAtIp && cameIn,
    input: isAtIp && toUs,
    forward: isAtIp && fromOthers && toOthers,
    output: isAtIp && fromUs,
    postrouting: isAtIp && goesOut,
    'arp output': isAtArp,
    'bridge forward': isBridged,
    'bridge output': isBridged,
    'bridge postrouting': isBridged,
    egress: !isIp || isBridged || goesOut,
  } satisfies Partial<Record<Place, boolean>>;
  return PLACES.filter((place) => isPossible[place]);
}
