import { CountLayout, FlowLayout, TableLayout } from '../../../../src/capture/bpf/layout.ts';

interface CountFields {
  /** Index in the table. */
  readonly at: number;
  readonly packets: bigint;
  readonly location?: bigint;
  readonly reason?: number;
  readonly ifindex?: number;
  readonly netns?: number;
  readonly protocol?: number;
  readonly ipProtocol?: number;
  readonly folded?: boolean;
  readonly edgePackets?: bigint;
  readonly lookedAt?: bigint;
  readonly flowless?: bigint;
  readonly name?: string;
}

interface FlowFields {
  readonly at: number;
  readonly count: number;
  readonly packets: bigint;
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly ports?: readonly number[];
  readonly vlan?: number;
  readonly socket?: bigint;
}

/** A struct table as the kernel fills it. */
export function tableBytes(fields: {
  readonly counts?: readonly CountFields[];
  readonly flows?: readonly FlowFields[];
  readonly overflow?: bigint;
}): Buffer {
  const bytes = Buffer.alloc(TableLayout.bytes);
  for (const count of fields.counts ?? []) {
    const at = TableLayout.counts + count.at * CountLayout.bytes;
    bytes.writeBigUInt64LE(count.location ?? 0n, at + CountLayout.location);
    bytes.writeUInt32LE(count.reason ?? 0, at + CountLayout.reason);
    bytes.writeUInt32LE(count.ifindex ?? 0, at + CountLayout.ifindex);
    bytes.writeUInt32LE(count.netns ?? 0, at + CountLayout.netns);
    bytes.writeUInt16LE(count.protocol ?? 0, at + CountLayout.protocol);
    bytes.writeUInt8(count.ipProtocol ?? 0, at + CountLayout.ip_protocol);
    bytes.writeUInt8(count.folded === true ? 2 : 1, at + CountLayout.state);
    bytes.writeBigUInt64LE(count.packets, at + CountLayout.packets);
    bytes.writeBigUInt64LE(count.edgePackets ?? 0n, at + CountLayout.edge_packets);
    bytes.writeBigUInt64LE(count.lookedAt ?? count.packets, at + CountLayout.flows_looked_at);
    bytes.writeBigUInt64LE(count.flowless ?? 0n, at + CountLayout.flowless);
    bytes.write(count.name ?? '', TableLayout.names + count.at * 16);
  }
  for (const flow of fields.flows ?? []) {
    const at = TableLayout.flows + flow.at * FlowLayout.bytes;
    bytes.set(flow.source, at + FlowLayout.source);
    bytes.set(flow.destination, at + FlowLayout.destination);
    for (const [index, port] of (flow.ports ?? []).entries()) {
      bytes.writeUInt16BE(port, at + FlowLayout.source_port + index * 2);
    }
    bytes.writeUInt16LE(flow.vlan ?? 0, at + FlowLayout.vlan);
    bytes.writeUInt16LE(flow.count | 0x8000, at + FlowLayout.count);
    bytes.writeBigUInt64LE(flow.packets, at + FlowLayout.packets);
    bytes.writeBigUInt64LE(flow.socket ?? 0n, at + FlowLayout.socket);
  }
  bytes.writeBigUInt64LE(fields.overflow ?? 0n, TableLayout.overflow);
  return bytes;
}
