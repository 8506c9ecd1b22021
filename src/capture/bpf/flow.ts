import { EtherType, type DropFlow } from '../../model/drops.ts';
import type { RawFlow, RawKind } from './layout.ts';

/** Equal for the same flow seen by several CPUs, or through several sockets. */
export function flowIdentity(flow: RawFlow): string {
  return [flow.source, flow.destination, flow.sourcePort, flow.destinationPort]
    .map((bytes) => Buffer.from(bytes).toString('latin1'))
    .concat(String(flow.vlan))
    .join();
}

/** Null for packets that carried no addresses we know to read. */
export function namedFlow(kind: RawKind, flow: RawFlow, packets: number): DropFlow | null {
  const addresses = addressesOf(kind.protocol, flow);
  if (addresses === null) return null;
  return {
    ...addresses,
    ...transportOf(kind, flow),
    ...(flow.vlan !== 0 && { vlan: flow.vlan }),
    packets,
    ...(flow.socket !== 0 && { socket: flow.socket }),
  };
}

function addressesOf(
  protocol: number,
  { source, destination }: RawFlow,
): Pick<DropFlow, 'source' | 'destination'> | null {
  // A packet whose header could not be read has no addresses; no other one has none at all.
  if ([...source, ...destination].every((byte) => byte === 0)) return null;
  const format = formats.get(protocol) ?? macAddress;
  return { source: format(source), destination: format(destination) };
}

const formats: ReadonlyMap<number, (bytes: Uint8Array) => string> = new Map([
  [EtherType.IPv4, ipv4Address],
  [EtherType.ARP, ipv4Address],
  [EtherType.IPv6, ipv6Address],
]);

function transportOf(
  { protocol, ipProtocol }: RawKind,
  { sourcePort, destinationPort }: RawFlow,
): Pick<DropFlow, 'ports' | 'icmp' | 'arpOperation'> {
  const source = bigEndian(sourcePort);
  const destination = bigEndian(destinationPort);
  if (protocol === EtherType.ARP) return source === 0 ? {} : { arpOperation: source };
  if (protocol !== EtherType.IPv4 && protocol !== EtherType.IPv6) return {};
  if (ipProtocol === IpProtocol.ICMP || ipProtocol === IpProtocol.ICMPv6) {
    // A zero is a type, too: the other port tells whether it was read.
    return destination === 0 ? {} : { icmp: { type: source >>> 8, code: source & 0xff } };
  }
  return source === 0 && destination === 0 ? {} : { ports: { source, destination } };
}

const IpProtocol = { ICMP: 1, ICMPv6: 58 } as const;

function bigEndian(bytes: Uint8Array): number {
  return (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
}

export function ipv4Address(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 4)].join('.');
}

function macAddress(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** As RFC 5952 wants it: the longest run of zero groups, of two or more, is left out. */
export function ipv6Address(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    bigEndian(bytes.subarray(index * 2, index * 2 + 2)).toString(16),
  );
  const runs = [...` ${groups.join(' ')} `.matchAll(/ 0(?: 0)+(?= )/g)].map(([run]) => run);
  const longest = runs.toSorted((a, b) => b.length - a.length)[0];
  const text = ` ${groups.join(' ')} `;
  if (longest === undefined) return groups.join(':');
  const [before = '', ...behind] = text.split(`${longest} `);
  return `${before.trim().replaceAll(' ', ':')}::${behind.join(`${longest} `).trim().replaceAll(' ', ':')}`;
}
