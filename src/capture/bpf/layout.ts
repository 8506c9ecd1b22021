/**
 * The structures of bpf/drops.bpf.c as bytes; change both together. Little-endian, as the object is.
 * test/unit/capture/bpf/layout.test.ts compares the offsets with the BTF of the object.
 */

const counts = 2048;
const flows = 2048;
const nameBytes = 16;

export const CountLayout = {
  location: 0,
  reason: 8,
  ifindex: 12,
  netns: 16,
  protocol: 20,
  ip_protocol: 22,
  state: 23,
  packets: 24,
  edge_packets: 32,
  flows_looked_at: 40,
  flowless: 56,
  bytes: 64,
} as const;

export const FlowLayout = {
  source: 0,
  destination: 16,
  source_port: 32,
  destination_port: 34,
  vlan: 36,
  count: 38,
  packets: 40,
  socket: 56,
  bytes: 64,
} as const;

const countsAt = 192;
const flowsAt = countsAt + counts * CountLayout.bytes;
const namesAt = flowsAt + flows * FlowLayout.bytes;

export const TableLayout = {
  overflow: 128,
  edge_overflow: 136,
  unselected: 144,
  counts: countsAt,
  flows: flowsAt,
  names: namesAt,
  bytes: namesAt + counts * nameBytes,
} as const;

export const SiteLayout = { stack: 0, stack_bytes: 256, bytes: 264 } as const;

export const SampleLayout = {
  time_ns: 0,
  location: 8,
  reason: 16,
  ifindex: 20,
  netns: 24,
  length: 28,
  protocol: 32,
  vlan: 34,
  captured: 36,
  ip_protocol: 38,
  link: 39,
  bytes_at: 40,
  bytes: 168,
} as const;

export const sampleCapacity = 512;

/** What tells kinds of drop apart in the kernel. */
export interface RawKind {
  /** As /proc/kallsyms prints addresses: 16 hexadecimal digits. */
  readonly location: string;
  readonly reason: number;
  /** 0: unknown. */
  readonly ifindex: number;
  /** Inode number of the namespace; 0: unknown. */
  readonly netns: number;
  readonly protocol: number;
  /** 0: none, or unknown. */
  readonly ipProtocol: number;
}

/** One kind of drop on one CPU. */
export interface RawCount extends RawKind {
  /** Of several kinds, when the table was used up: only reason and location are known. */
  readonly folded: boolean;
  readonly interfaceName: string;
  readonly packets: number;
  readonly edgePackets: number;
  /** Not every packet's flow was looked at and kept. */
  readonly flowsApproximate: boolean;
  readonly flows: readonly RawFlow[];
}

export interface RawFlow {
  /** 16 bytes each. What they hold depends on the count's protocol, see struct flow_key. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Two bytes each, as in the packet. */
  readonly sourcePort: Uint8Array;
  readonly destinationPort: Uint8Array;
  /** 0: no tag. */
  readonly vlan: number;
  readonly packets: number;
  /** Inode number; 0: none, or unknown. */
  readonly socket: number;
}

export interface RawTable {
  readonly counts: readonly RawCount[];
  /** Drops that found no place in the table. */
  readonly overflow: { readonly packets: number; readonly edgePackets: number };
  /** Drops that the selection left out. */
  readonly unselected: number;
}

/** One CPU's struct table. */
export function parseTable(bytes: Uint8Array): RawTable {
  const view = viewOf(bytes);
  const flowsOf = parseFlows(bytes);
  const found: RawCount[] = [];
  for (let index = 0; index < counts; index += 1) {
    const at = TableLayout.counts + index * CountLayout.bytes;
    const state = view.getUint8(at + CountLayout.state);
    const packets = uint64(view, at + CountLayout.packets);
    if (state === 0 || packets === 0) continue;
    const nameAt = TableLayout.names + index * nameBytes;
    found.push({
      location: address(view, at + CountLayout.location),
      reason: view.getUint32(at + CountLayout.reason, true),
      ifindex: view.getUint32(at + CountLayout.ifindex, true),
      netns: view.getUint32(at + CountLayout.netns, true),
      protocol: view.getUint16(at + CountLayout.protocol, true),
      ipProtocol: view.getUint8(at + CountLayout.ip_protocol),
      folded: state === 2,
      interfaceName: text(bytes.subarray(nameAt, nameAt + nameBytes)),
      packets,
      edgePackets: uint64(view, at + CountLayout.edge_packets),
      flowsApproximate:
        view.getBigUint64(at + CountLayout.flowless, true) !== 0n ||
        packets >= exactFlowPackets ||
        uint64(view, at + CountLayout.flows_looked_at) !== packets,
      flows: flowsOf.get(index) ?? [],
    });
  }
  return {
    counts: found,
    overflow: {
      packets: uint64(view, TableLayout.overflow),
      edgePackets: uint64(view, TableLayout.edge_overflow),
    },
    unselected: uint64(view, TableLayout.unselected),
  };
}

/** FLOWS_EXACT: from here on a kind's flows are estimated. */
const exactFlowPackets = 4096;
/** FLOW_USED, beside the index of the count. */
const flowUsed = 0x8000;

function parseFlows(table: Uint8Array): ReadonlyMap<number, RawFlow[]> {
  const view = viewOf(table);
  const byCount = new Map<number, RawFlow[]>();
  for (let index = 0; index < flows; index += 1) {
    const at = TableLayout.flows + index * FlowLayout.bytes;
    const count = view.getUint16(at + FlowLayout.count, true);
    if ((count & flowUsed) === 0) continue;
    const slice = (offset: number, length: number): Uint8Array => copy(table, at + offset, length);
    const flow: RawFlow = {
      source: slice(FlowLayout.source, 16),
      destination: slice(FlowLayout.destination, 16),
      sourcePort: slice(FlowLayout.source_port, 2),
      destinationPort: slice(FlowLayout.destination_port, 2),
      vlan: view.getUint16(at + FlowLayout.vlan, true),
      packets: uint64(view, at + FlowLayout.packets),
      socket: uint64(view, at + FlowLayout.socket),
    };
    const siblings = byCount.get(count & ~flowUsed);
    if (siblings === undefined) byCount.set(count & ~flowUsed, [flow]);
    else siblings.push(flow);
  }
  return byCount;
}

export interface RawSample extends RawKind {
  /** CLOCK_MONOTONIC. */
  readonly timeNs: number;
  /** Of the whole packet, from where `bytes` start. */
  readonly length: number;
  /** Id of a tag that is not in `bytes`; 0: none. */
  readonly vlan: number;
  readonly link: 'ethernet' | 'network';
  readonly bytes: Uint8Array;
}

/** A struct sample; null for a place that is free, or still being written. */
export function parseSample(bytes: Uint8Array): RawSample | null {
  const view = viewOf(bytes);
  const timeNs = uint64(view, SampleLayout.time_ns);
  if (timeNs === 0) return null;
  const start = SampleLayout.bytes_at;
  return {
    timeNs,
    location: address(view, SampleLayout.location),
    reason: view.getUint32(SampleLayout.reason, true),
    ifindex: view.getUint32(SampleLayout.ifindex, true),
    netns: view.getUint32(SampleLayout.netns, true),
    length: view.getUint32(SampleLayout.length, true),
    protocol: view.getUint16(SampleLayout.protocol, true),
    ipProtocol: view.getUint8(SampleLayout.ip_protocol),
    vlan: view.getUint16(SampleLayout.vlan, true),
    link: view.getUint8(SampleLayout.link) === 1 ? 'ethernet' : 'network',
    bytes: copy(bytes, start, view.getUint16(SampleLayout.captured, true)),
  };
}

/** One stack, innermost frame first, of a reason at a place. */
export interface RawSite {
  readonly location: string;
  readonly reason: number;
  /** Addresses as in RawKind. */
  readonly stack: readonly string[];
}

/** A struct site_key and its struct site. */
export function parseSite(key: Uint8Array, site: Uint8Array): RawSite {
  const keyView = viewOf(key);
  const view = viewOf(site);
  const stackBytes = Math.min(
    view.getInt32(SiteLayout.stack_bytes, true),
    SiteLayout.stack_bytes - SiteLayout.stack,
  );
  const stack: string[] = [];
  for (let at = SiteLayout.stack; at + 8 <= stackBytes; at += 8) stack.push(address(view, at));
  return { location: address(keyView, 0), reason: keyView.getUint32(8, true), stack };
}

/** A struct settings. */
export function settingsBytes(settings: {
  readonly windowIsOpen: boolean;
  /** 0: all. */
  readonly netns: number;
  readonly ifindex: number;
}): Uint8Array {
  const { windowIsOpen, netns, ifindex } = settings;
  const selects = netns !== 0 || ifindex !== 0;
  return new Uint8Array(
    Uint32Array.of(Number(windowIsOpen), Number(selects), netns, ifindex).buffer,
  );
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Exact up to 2 ** 53, which no counter of packets or nanoseconds reaches. */
function uint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

function address(view: DataView, at: number): string {
  const half = (offset: number): string =>
    view.getUint32(offset, true).toString(16).padStart(8, '0');
  return half(at + 4) + half(at);
}

/** The caller may use the bytes again; and slice() of a Buffer would not copy. */
function copy(bytes: Uint8Array, start: number, length: number): Uint8Array {
  return Uint8Array.from(bytes.subarray(start, start + length));
}

/** A C string in a field of fixed size. */
function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
