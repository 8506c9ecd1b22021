import type { Hook, LocalAddresses, Prefix } from '../../../checks/firewall.ts';
import { EtherType, type DropCount, type DropFlow } from '../../../src/model/drops.ts';
import { amongMany, parseAddress, type Quantity } from './intervals.ts';
import type { Packet } from './packet.ts';

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
}

/** Of a flow's packets, so few may be invalid without the flow being so: a host has some in every window. */
const INVALID_SHARE = 0.01;

/** All packets of a kind of drop: its busiest flows, and the rest of it. */
export function flowsOf(drop: DropCount, { typesOf, invalid }: Surroundings): readonly Flow[] {
  const { details, protocol, packets } = drop;
  const of = (count: number): Packet => ({
    etherType: protocol,
    ctStates: ctStates(count, invalid),
    sourceTypes: typesOf(undefined),
    destinationTypes: typesOf(undefined),
    ...(details !== undefined && details.ipProtocol !== null && { ipProtocol: details.ipProtocol }),
    ...(details !== undefined && details.interface !== null && { interface: details.interface }),
  });
  const known = (details?.topFlows ?? []).map((flow): Flow => {
    const [source, destination] = [parseAddress(flow.source), parseAddress(flow.destination)];
    return {
      drop,
      flow,
      packets: flow.packets,
      packet: {
        ...of(flow.packets),
        ...headerOf(flow),
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

function headerOf({ ports, icmp }: DropFlow): Pick<Packet, 'ports' | 'icmp'> {
  return { ...(ports !== undefined && { ports }), ...(icmp !== undefined && { icmp }) };
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

/** Hooks where such packets can have been, by whose addresses they have there. */
export function hooksOf({ sourceTypes, destinationTypes }: Packet): readonly Hook[] {
  const toUs = OURS.some((type) => destinationTypes.has(type));
  const toOthers =
    destinationTypes.has('multicast') || OTHERS.some((type) => destinationTypes.has(type));
  const fromUs = sourceTypes.has('local');
  const fromOthers = [...OURS, ...OTHERS].some((type) => type !== 'local' && sourceTypes.has(type));
  const cameIn = toUs || fromOthers;
  const goesOut = fromUs || toOthers;
  return [
    ...(cameIn ? (['ingress', 'prerouting'] as const) : []),
    ...(toUs ? (['input'] as const) : []),
    ...(fromOthers && toOthers ? (['forward'] as const) : []),
    ...(fromUs ? (['output'] as const) : []),
    ...(goesOut ? (['postrouting', 'egress'] as const) : []),
  ];
}
