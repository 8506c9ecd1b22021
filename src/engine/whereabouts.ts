import { describeFlow } from '../model/describe-flow.ts';
import {
  packetsOf,
  type DropCapture,
  type DropCount,
  type DropFlow,
  type SocketOwner,
} from '../model/drops.ts';
import type { ReportFlow, Whereabouts } from '../model/report.ts';
import type { Observation } from '../model/rule.ts';

/** The one interface or namespace that so large a part of a cause's packets came by is named as its place. */
const ONE_PLACE_SHARE = 0.9;
const ONE_OWNER_SHARE = 0.9;
/** More of them tell no more. */
const NAMED_NAMESPACES = 3;
/** Flows worth naming: the busiest few. */
const NAMED_FLOWS = 3;

type Sources = ReadonlyMap<DropCount, number>;

/** The same drops, with no other flows than these. Absent: all. */
export function ofFlows(sources: Sources, flows: readonly DropFlow[] | undefined): Sources {
  if (flows === undefined) return sources;
  return new Map(
    [...sources].map(([drop, count]) => {
      if (drop.details === undefined) return [drop, count];
      const topFlows = drop.details.topFlows.filter((flow) => flows.includes(flow));
      return [{ ...drop, details: { ...drop.details, topFlows } }, count];
    }),
  );
}

/**
 * Counts of flows are brought down to the packets of the cause. Drops at the edges of the window are claimed too,
 * without being among them: where reading takes long, they are as many. Of a kind of drop that several causes share,
 * nobody knows whose each flow was: then none is named, for it may be another one's.
 */
export function inProportion(sources: Sources, packets: number): Sources {
  const claimed = [...sources.values()].reduce((sum, count) => sum + count, 0);
  const share = claimed <= packets || packets === 0 ? 1 : packets / claimed;
  return new Map(
    [...sources].map(([drop, count]) => [withFlowsOf(drop, count, share), count * share]),
  );
}

/** @param count how many of these drops are the cause's, and of those only this share its packets */
function withFlowsOf(drop: DropCount, count: number, share: number): DropCount {
  if (drop.details === undefined) return drop;
  const known = packetsOf(drop.details.topFlows);
  if (drop.details.topFlows.length > 1 && count < known * ONE_OWNER_SHARE) {
    return { ...drop, details: { ...drop.details, topFlows: [] } };
  }
  const part = known > count ? (share * count) / known : share;
  if (part === 1) return drop;
  const topFlows = drop.details.topFlows
    .map((flow) => ({ ...flow, packets: Math.round(flow.packets * part) }))
    .filter(({ packets }) => packets > 0);
  return { ...drop, details: { ...drop.details, topFlows, flowsApproximate: true } };
}

/** The interface of these drops, where the capture knows it and it is (nearly) one. */
export function interfaceOf(sources: Sources): string | undefined {
  const packets = new Map<string, number>();
  let total = 0;
  const names = new Map<string, string>();
  for (const [{ details }, count] of sources) {
    total += count;
    if (details === undefined || details.interface === null) continue;
    // Each namespace has its own eth0.
    const key = `${details.netns} ${details.interface}`;
    names.set(key, details.interface);
    packets.set(key, (packets.get(key) ?? 0) + count);
  }
  const [busiest] = [...packets].sort(([, a], [, b]) => b - a);
  return busiest !== undefined && busiest[1] >= total * ONE_PLACE_SHARE
    ? names.get(busiest[0])
    : undefined;
}

/** Where drops of a cause of the whole machine were. */
export interface NamespacesOfDrops {
  /** Nearly all of them: its name. Absent: several, or the one without a name, or not known. */
  readonly netns?: string;
  readonly because: readonly Observation[];
}

/** @param names of namespaces, by inode number; null: the one that stands for the machine */
export function namespacesOf(
  sources: Sources,
  names: ReadonlyMap<number | null, string | null>,
): NamespacesOfDrops {
  const packets = new Map<string | null, number>();
  let total = 0;
  for (const [{ details }, count] of sources) {
    const inode = details?.netns ?? null;
    const name = names.get(inode);
    total += count;
    if (inode !== null) {
      const shown = name === undefined ? `inode ${inode}` : name;
      packets.set(shown, (packets.get(shown) ?? 0) + count);
    }
  }
  const ranked = [...packets].sort(([, a], [, b]) => b - a);
  const [busiest] = ranked;
  if (busiest === undefined) return { because: [] };
  const one = busiest[1] >= total * ONE_PLACE_SHARE ? busiest[0] : null;
  const shown = ranked
    .slice(0, NAMED_NAMESPACES)
    .map(([name, count]) => `${count} in ${name ?? 'the host itself'}`);
  return {
    ...(one === null ? {} : { netns: one }),
    because: [
      {
        source: 'skb:kfree_skb',
        text: `network namespaces where they died: ${shown.join(', ')}${ranked.length > shown.length ? ' …' : ''}`,
      },
    ],
  };
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
