import type { Hook, Value } from '../../../checks/firewall.ts';
import { EtherType } from '../../../src/model/drops.ts';
import { amongMany, isWithin, type Names, type Quantity } from './intervals.ts';
import type { PacketAtHook } from './packet.ts';
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

/** An interface, by name; `eth*` is any that starts so. */
function device(hooks: readonly Hook[]): Field {
  return {
    has: always,
    is(value, { interface: name, hook }) {
      if (name === undefined || typeof value !== 'string' || !hooks.includes(hook)) {
        return 'unknown';
      }
      // A star that is meant as such comes with a backslash.
      const [, prefix] = /^(.*[^\\])\*$/.exec(value) ?? [];
      return (prefix === undefined ? name === value : name.startsWith(prefix)) ? 'yes' : 'no';
    },
  };
}

const isVersion =
  (etherType: number) =>
  (packet: PacketAtHook): Truth =>
    packet.etherType === etherType ? 'yes' : 'no';
const isIpv4 = isVersion(EtherType.IPv4);
const isIpv6 = isVersion(EtherType.IPv6);

function transport({ ipProtocol }: PacketAtHook): number | undefined {
  return ipProtocol !== undefined && IPV6_EXTENSIONS.has(ipProtocol) ? undefined : ipProtocol;
}

function carries(...protocols: readonly number[]): Field['has'] {
  return (packet) => {
    const protocol = transport(packet);
    if (protocol === undefined) return 'unknown';
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

/** Where a packet is before, and after, it has got the interface by which it leaves (nf_hook_state). */
const inward = device(['ingress', 'prerouting', 'input', 'forward']);
const outward = device(['output', 'postrouting', 'egress']);

const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['ip saddr', number(isIpv4, (packet) => packet.source)],
  ['ip daddr', number(isIpv4, (packet) => packet.destination)],
  ['ip protocol', number(isIpv4, (packet) => packet.ipProtocol, PROTOCOLS)],
  ['ip6 saddr', number(isIpv6, (packet) => packet.source)],
  ['ip6 daddr', number(isIpv6, (packet) => packet.destination)],
  ['meta protocol', number(always, (packet) => packet.etherType, ETHER_TYPES)],
  [
    'meta nfproto',
    number(always, ({ etherType }) => (etherType === EtherType.IPv6 ? 10 : 2), NF_PROTOCOLS),
  ],
  ['meta l4proto', number(always, transport, PROTOCOLS)],
  ...ports('tcp', TCP),
  ...ports('udp', UDP),
  ...ports('sctp', SCTP),
  ...ports('dccp', DCCP),
  ...ports('th', TCP, UDP, SCTP, DCCP),
  ['icmp type', number(carries(ICMP), (packet) => packet.icmp?.type, ICMP_TYPES)],
  ['icmp code', number(carries(ICMP), (packet) => packet.icmp?.code)],
  ['icmpv6 type', number(carries(ICMPV6), (packet) => packet.icmp?.type, ICMPV6_TYPES)],
  ['icmpv6 code', number(carries(ICMPV6), (packet) => packet.icmp?.code)],
  ['iif', inward],
  ['iifname', inward],
  ['oif', outward],
  ['oifname', outward],
  ['ct state', oneOf((packet) => packet.ctStates)],
  ['fib saddr type', oneOf((packet) => packet.sourceTypes)],
  ['fib daddr type', oneOf((packet) => packet.destinationTypes)],
]);
