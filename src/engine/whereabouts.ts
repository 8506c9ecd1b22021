import type { DropCapture, DropCount, DropFlow, SocketOwner } from '../model/drops.ts';
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
  const kinds = [...sources.keys()];
  const flows = kinds
    .flatMap(({ details }) =>
      (details?.topFlows ?? []).map((flow) => ({ flow, protocol: details?.ipProtocol ?? null })),
    )
    .sort((a, b) => b.flow.packets - a.flow.packets)
    .slice(0, NAMED_FLOWS);
  if (flows.length === 0) return [];
  const about = kinds.some(({ details }) => details?.flowsApproximate === true) ? 'about ' : '';
  return flows.map(({ flow, protocol }) => ({
    source: 'skb:kfree_skb',
    text: `${about}${flow.packets} of them: ${protocolName(protocol)}${endpoint(flow.source, flow.ports?.source)} → ${endpoint(flow.destination, flow.ports?.destination)}`,
  }));
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

function protocolName(protocol: number | null): string {
  if (protocol === null) return '';
  return PROTOCOLS.get(protocol) ?? `IP protocol ${protocol} `;
}
