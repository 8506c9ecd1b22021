import type { Value } from '../../../checks/firewall.ts';
import { EtherType } from '../../../src/model/drops.ts';
import { amongMany, isWithin, type Names, type Quantity } from './intervals.ts';
import type { PacketAtHook } from './packet.ts';
import { deviceAt, isOfIp } from './places.ts';
import type { Truth } from './truth.ts';

/** An expression of nftables that a captured flow can answer. */
export interface Field {
  /** Whether the packet has it: where it has not, the rule ends, whatever the operator (NFT_BREAK). */
  has(packet: PacketAtHook): Truth;
  /** Whether it is this value. */
  is(value: Value, packet: PacketAtHook): Truth;
  /** Whether it is one of many, which are prepared for many packets. Absent: no faster than one by one. */
  among?(values: readonly Value[]): (packet: PacketAtHook) => Truth;
}

/** @param expression as nft writes it: `ip saddr` */
export function fieldOf(expression: string): Field {
  return FIELDS.get(expression) ?? notCaptured;
}

const notCaptured: Field = { has: () => 'unknown', is: () => 'unknown' };

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const SCTP = 132;
const DCCP = 33;
const VLAN = 0x8100;
const PROVIDER_VLAN = 0x88a8;
const PPPOE_SESSION = 0x8864;
/** Behind these comes another header, and we know one only. */
const IPV6_EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 44, 51, 60, 135]);

/** As nft prints them: from its own tables, or the names of /etc/protocols. */
const PROTOCOLS = new Map([
  ['icmp', ICMP],
  ['igmp', 2],
  ['tcp', TCP],
  ['udp', UDP],
  ['dccp', DCCP],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['icmpv6', ICMPV6],
  ['ipv6-icmp', ICMPV6],
  ['ospf', 89],
  ['vrrp', 112],
  ['sctp', SCTP],
  ['udplite', 136],
]);
const ETHER_TYPES = new Map<string, number>([
  ['ip', EtherType.IPv4],
  ['ip6', EtherType.IPv6],
  ['arp', EtherType.ARP],
  ['vlan', VLAN],
  ['8021q', VLAN],
  ['8021ad', PROVIDER_VLAN],
]);
const ARP_OPERATIONS = new Map([
  ['request', 1],
  ['reply', 2],
  ['rrequest', 3],
  ['rreply', 4],
  ['inrequest', 8],
  ['inreply', 9],
  ['nak', 10],
]);
/** NFPROTO_IPV4 and NFPROTO_IPV6. */
const NF_PROTOCOLS = new Map([
  ['ipv4', 2],
  ['ipv6', 10],
]);
const ICMP_TYPES = new Map([
  ['echo-reply', 0],
  ['destination-unreachable', 3],
  ['source-quench', 4],
  ['redirect', 5],
  ['echo-request', 8],
  ['router-advertisement', 9],
  ['router-solicitation', 10],
  ['time-exceeded', 11],
  ['parameter-problem', 12],
  ['timestamp-request', 13],
  ['timestamp-reply', 14],
]);
const ICMPV6_TYPES = new Map([
  ['destination-unreachable', 1],
  ['packet-too-big', 2],
  ['time-exceeded', 3],
  ['parameter-problem', 4],
  ['echo-request', 128],
  ['echo-reply', 129],
  ['mld-listener-query', 130],
  ['mld-listener-report', 131],
  ['mld-listener-done', 132],
  ['mld-listener-reduction', 132],
  ['nd-router-solicit', 133],
  ['nd-router-advert', 134],
  ['nd-neighbor-solicit', 135],
  ['nd-neighbor-advert', 136],
  ['nd-redirect', 137],
  ['mld2-listener-report', 143],
]);

const always = (): Truth => 'yes';

function number(
  has: Field['has'],
  read: (packet: PacketAtHook) => Quantity | undefined,
  names: Names = new Map(),
): Field {
  const test = (packet: PacketAtHook, holds: (number: Quantity) => Truth): Truth => {
    const value = read(packet);
    return value === undefined ? 'unknown' : holds(value);
  };
  return {
    has,
    is: (value, packet) => test(packet, (number) => isWithin(number, value, names)),
    among(values) {
      const holds = amongMany(values, names);
      return (packet) => test(packet, holds);
    },
  };
}

/** A field of which the possible values are known. */
function oneOf(read: (packet: PacketAtHook) => ReadonlySet<string>): Field {
  return {
    has: always,
    is(value, packet) {
      const possible = read(packet);
      if (typeof value !== 'string') return 'unknown';
      if (!possible.has(value)) return 'no';
      return possible.size === 1 ? 'yes' : 'unknown';
    },
  };
}

/** An interface, by name. Where a hook has none, its name is empty, and its number 0 (nft_meta_get_eval). */
function device(direction: 'in' | 'out'): Field {
  return {
    has: always,
    is(value, { interface: name, place }) {
      const told = deviceAt(place, direction);
      if (told === 'none') return 'no';
      return told === 'untold' || name === undefined || typeof value !== 'string'
        ? 'unknown'
        : isNamed(name, value);
    },
  };
}

/** @param wanted as nft writes it: `eth*` is any that starts so */
export function isNamed(name: string, wanted: string): 'yes' | 'no' {
  // A star that is meant as such comes with a backslash.
  const [, prefix] = /^(.*[^\\])\*$/.exec(wanted) ?? [];
  return (prefix === undefined ? name === wanted : name.startsWith(prefix)) ? 'yes' : 'no';
}

/** What is behind the tag, or within the session, the capture does not tell. */
const WRAPPED: ReadonlySet<number> = new Set([VLAN, PROVIDER_VLAN, PPPOE_SESSION]);

const isOfType =
  (...etherTypes: readonly number[]) =>
  ({ etherType }: PacketAtHook): Truth => {
    if (etherTypes.includes(etherType)) return 'yes';
    return WRAPPED.has(etherType) ? 'unknown' : 'no';
  };
const isIpv4 = isOfType(EtherType.IPv4);
const isIpv6 = isOfType(EtherType.IPv6);
const isIp = isOfType(EtherType.IPv4, EtherType.IPv6);
const isArp = isOfType(EtherType.ARP);

function transport({ ipProtocol }: PacketAtHook): number | undefined {
  return ipProtocol !== undefined && IPV6_EXTENSIONS.has(ipProtocol) ? undefined : ipProtocol;
}

function carries(...protocols: readonly number[]): Field['has'] {
  return (packet) => {
    const protocol = transport(packet);
    if (protocol === undefined) return isIp(packet) === 'no' ? 'no' : 'unknown';
    return protocols.includes(protocol) ? 'yes' : 'no';
  };
}

function ports(name: string, ...protocols: readonly number[]): readonly [string, Field][] {
  const has = carries(...protocols);
  return [
    [`${name} sport`, number(has, (packet) => packet.ports?.source)],
    [`${name} dport`, number(has, (packet) => packet.ports?.destination)],
  ];
}

const inward = device('in');
const outward = device('out');

/** NFPROTO_* of the IP layer; at the hooks of devices, bridges and ARP it is theirs. */
function nfProtocol({ etherType, place }: PacketAtHook): number | undefined {
  if (!isOfIp(place)) return undefined;
  return etherType === EtherType.IPv6 ? 10 : 2;
}

function hasTag({ vlan }: PacketAtHook): Truth {
  return vlan !== undefined && vlan > 0 ? 'yes' : 'unknown';
}

function tagOf({ etherType, vlan }: PacketAtHook): number | undefined {
  return vlan === 0 && WRAPPED.has(etherType) ? undefined : vlan;
}

/** As in the frame, where a tag has a type of its own (nft_payload_copy_vlan). */
function frameType({ etherType, vlan }: PacketAtHook): number | undefined {
  return vlan === 0 ? etherType : undefined;
}

const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['ip saddr', number(isIpv4, (packet) => packet.source)],
  ['ip daddr', number(isIpv4, (packet) => packet.destination)],
  ['ip protocol', number(isIpv4, (packet) => packet.ipProtocol, PROTOCOLS)],
  ['ip6 saddr', number(isIpv6, (packet) => packet.source)],
  ['ip6 daddr', number(isIpv6, (packet) => packet.destination)],
  ['meta protocol', number(always, (packet) => packet.etherType, ETHER_TYPES)],
  ['meta nfproto', number(always, nfProtocol, NF_PROTOCOLS)],
  ['meta l4proto', number(isIp, transport, PROTOCOLS)],
  ...ports('tcp', TCP),
  ...ports('udp', UDP),
  ...ports('sctp', SCTP),
  ...ports('dccp', DCCP),
  ...ports('th', TCP, UDP, SCTP, DCCP),
  ['icmp type', number(carries(ICMP), (packet) => packet.icmp?.type, ICMP_TYPES)],
  ['icmp code', number(carries(ICMP), (packet) => packet.icmp?.code)],
  ['icmpv6 type', number(carries(ICMPV6), (packet) => packet.icmp?.type, ICMPV6_TYPES)],
  ['icmpv6 code', number(carries(ICMPV6), (packet) => packet.icmp?.code)],
  ['arp operation', number(isArp, (packet) => packet.arpOperation, ARP_OPERATIONS)],
  ['arp saddr ip', number(isArp, (packet) => packet.source)],
  ['arp daddr ip', number(isArp, (packet) => packet.destination)],
  ['ether saddr', number(always, (packet) => packet.macs?.source)],
  ['ether daddr', number(always, (packet) => packet.macs?.destination)],
  ['ether type', number(always, frameType, ETHER_TYPES)],
  ['vlan id', number(hasTag, tagOf)],
  ['iif', inward],
  ['iifname', inward],
  ['oif', outward],
  ['oifname', outward],
  ['ct state', oneOf((packet) => packet.ctStates)],
  ['fib saddr type', oneOf((packet) => packet.sourceTypes)],
  ['fib daddr type', oneOf((packet) => packet.destinationTypes)],
]);
