import { EtherType, type DropCount, type DropFlow } from './drops.ts';

/** `UDP 10.77.0.1:4000 → 10.77.0.2:5000`. */
export function describeFlow(flow: DropFlow, { protocol, details }: DropCount): string {
  const { source, destination, ports, vlan } = flow;
  const kind = protocol === EtherType.ARP ? arpKind(flow) : ipKind(flow, details?.ipProtocol);
  return `${vlan === undefined ? '' : `VLAN ${vlan} `}${kind}${endpoint(source, ports?.source)} → ${endpoint(destination, ports?.destination)}`;
}

function arpKind({ arpOperation }: DropFlow): string {
  if (arpOperation === 1) return 'ARP request ';
  return arpOperation === 2 ? 'ARP reply ' : 'ARP ';
}

function ipKind({ icmp }: DropFlow, ipProtocol: number | null | undefined): string {
  if (ipProtocol === null || ipProtocol === undefined) return '';
  const name = PROTOCOLS.get(ipProtocol) ?? `IP protocol ${ipProtocol} `;
  return icmp === undefined ? name : `${name}type ${icmp.type} code ${icmp.code} `;
}

function endpoint(address: string, port: DropFlow['packets'] | undefined): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, 'ICMP '],
  [6, 'TCP '],
  [17, 'UDP '],
  [58, 'ICMPv6 '],
  [132, 'SCTP '],
]);
