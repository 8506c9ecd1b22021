import {
  EtherType,
  type DropCapture,
  type DropCount,
  type DropFlow,
  type SocketOwner,
} from '../model/drops.ts';
import type { ReportFlow, Whereabouts } from '../model/report.ts';
import type { Observation } from '../model/rule.ts';

/** The one interface that so large a part of a cause's packets came by is named as its place. */
const ONE_INTERFACE_SHARE = 0.9;
const ONE_OWNER_SHARE = 0.9;
/** Flows worth naming: the busiest few. */
const NAMED_FLOWS = 3;

type Sources = ReadonlyMap<DropCount, number>;

/** The interface of these drops, where the capture knows it and it is (nearly) one. */
export function interfaceOf(sources: Sources): string | undefined {
  const packets = new Map<string, number>();
  let total = 0;
  for (const [{ details }, count] of sources) {
    total += count;
    const name = details?.interface;
    if (name !== undefined && name !== null) packets.set(name, (packets.get(name) ?? 0) + count);
  }
  const [busiest] = [...packets].sort(([, a], [, b]) => b - a);
  return busiest !== undefined && busiest[1] >= total * ONE_INTERFACE_SHARE
    ? busiest[0]
    : undefined;
}

/** The process whose packets these (nearly) all were, sent or to be received, where the capture knows it. */
export function ownerOf(
  sources: Sources,
  owners: DropCapture['owners'] = new Map(),
): SocketOwner | undefined {
  const packets = new Map<number, number>();
  let total = 0;
  for (const flow of [...sources.keys()].flatMap(({ details }) => details?.topFlows ?? [])) {
    total += flow.packets;
    const { socket } = flow;
    if (socket !== undefined) packets.set(socket, (packets.get(socket) ?? 0) + flow.packets);
  }
  const [busiest] = [...packets].sort(([, a], [, b]) => b - a);
  return busiest !== undefined && busiest[1] >= total * ONE_OWNER_SHARE
    ? owners.get(busiest[0])
    : undefined;
}

/** The busiest flows of these drops, as evidence. Nothing where the capture does not know flows. */
export function flowsOf(sources: Sources): readonly Observation[] {
  return busiestFlows(sources).map(({ flow, packets, approximate }) => ({
    source: 'skb:kfree_skb',
    text: `${approximate === true ? 'about ' : ''}${packets} of them: ${flow}`,
  }));
}

/** Where these packets died and whose they were. Empty where the capture does not know. */
export function whereaboutsOf(sources: Sources): Whereabouts {
  const seenOn = interfaceOf(sources);
  const flows = busiestFlows(sources);
  return {
    ...(seenOn !== undefined && { interface: seenOn }),
    ...(flows.length > 0 && { flows }),
  };
}

function busiestFlows(sources: Sources): ReportFlow[] {
  const kinds = [...sources.keys()];
  const approximate = kinds.some(({ details }) => details?.flowsApproximate === true);
  return kinds
    .flatMap((kind) => (kind.details?.topFlows ?? []).map((flow) => ({ kind, flow })))
    .sort((a, b) => b.flow.packets - a.flow.packets)
    .slice(0, NAMED_FLOWS)
    .map(({ kind, flow }) => ({
      flow: describeFlow(flow, kind),
      packets: flow.packets,
      ...(approximate && { approximate }),
    }));
}

function describeFlow(flow: DropFlow, { protocol, details }: DropCount): string {
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
