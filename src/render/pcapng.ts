import type { ExplainedDrop } from '../engine/explained-drops.ts';
import { EtherType, type DropCount, type DropDetails, type DropSample } from '../model/drops.ts';
import type { Report } from '../model/report.ts';
import { printable } from './printable.ts';
import { describeScope, formatCount } from './wording.ts';

export interface PacketFile {
  readonly bytes: Uint8Array;
  /** How many packets are in it. */
  readonly packets: number;
  /** How many it is a sample of. */
  readonly dropped: number;
}

/**
 * The sampled packets as pcapng (draft-ietf-opsawg-pcapng), which Wireshark and tshark read, in the
 * order they were dropped. The comment of each says why, where, and by which cause. Buffers that never
 * were a packet of a network, such as those between Unix sockets, are left out.
 *
 * @param drops of the interfaces that the report is not about, packets are left out
 */
export function renderPcapng(report: Report, drops: readonly ExplainedDrop[]): PacketFile {
  const wanted = drops.filter(({ drop }) => isWanted(drop, report.scope.interfaces));
  const packets = wanted
    .flatMap((explained) => packetsOf(explained, report))
    .sort((a, b) => a.timeUs - b.timeUs);
  const blocks = [sectionBlock(report)];
  const interfaces = new Map<string, number>();
  for (const packet of packets) {
    const key = JSON.stringify([packet.device, packet.frame.linkType]);
    const known = interfaces.get(key);
    const id = known ?? interfaces.size;
    if (known === undefined) {
      interfaces.set(key, id);
      blocks.push(interfaceBlock(packet));
    }
    blocks.push(packetBlock(id, packet));
  }
  return {
    bytes: Buffer.concat(blocks),
    packets: packets.length,
    dropped: wanted.reduce((sum, { drop }) => sum + drop.packets, 0),
  };
}

interface Packet {
  readonly timeUs: number;
  readonly device: Device;
  readonly frame: Frame;
  /** Lines. */
  readonly comment: readonly string[];
}

/** Null: not known. */
interface Device {
  readonly name: string | null;
  /** Of the namespace, or its inode number. */
  readonly netns: string | null;
}

/** A packet of a network, which is not known to be of another interface. */
function isWanted({ protocol, details }: DropCount, interfaces: readonly string[]): boolean {
  const name = details?.interface ?? null;
  return (
    protocol !== EtherType.None &&
    (interfaces.length === 0 || name === null || interfaces.includes(name))
  );
}

function packetsOf(explained: ExplainedDrop, report: Report): readonly Packet[] {
  const { protocol, details } = explained.drop;
  if (details === undefined) return [];
  const device = deviceOf(details, report);
  return details.samples.flatMap((sample): readonly Packet[] => {
    const frame = frameOf(sample, protocol);
    if (frame === null) return [];
    return [
      { timeUs: sample.timeUs, device, frame, comment: commentOf(explained, device, sample) },
    ];
  });
}

function deviceOf(details: DropDetails, { scope, namespaces }: Report): Device {
  const { interface: name, ifindex, netns } = details;
  const named =
    namespaces === undefined
      ? scope.netns[0]
      : (namespaces.find(({ inode }) => inode === netns)?.name ?? undefined);
  return {
    name: name ?? (ifindex === null ? null : `number ${ifindex}`),
    netns: netns === null ? null : (named ?? String(netns)),
  };
}

function commentOf(
  { drop, claims }: ExplainedDrop,
  device: Device,
  { vlan }: DropSample,
): readonly string[] {
  const place = describeScope({
    ...(device.netns !== null && { netns: device.netns }),
    ...(device.name !== null && { interface: device.name }),
  });
  const claimed = claims.reduce((sum, { packets }) => sum + packets, 0);
  const shares = claims.map(({ kind, id, title, packets }) => ({
    text: `${kind === 'cause' ? 'cause' : 'harmless'} ${id}: ${title}`,
    packets,
  }));
  if (claimed < drop.packets) shares.push({ text: 'unexplained', packets: drop.packets - claimed });
  // Which of them a sample belongs to, nobody knows.
  const share = (packets: number): string =>
    shares.length === 1 ? '' : ` (${formatCount(packets)} of ${formatCount(drop.packets)} such)`;
  return [
    ...shares.map(({ text, packets }) => `${text}${share(packets)}`),
    describePlace(drop),
    [place, vlan !== undefined && `VLAN ${vlan}`].filter(Boolean).join(', '),
  ].filter((line) => line !== '');
}

/** `NETFILTER_DROP @ nft_do_chain [nf_tables]` */
function describePlace({ reason, location, module }: DropCount): string {
  const place = module === undefined ? location : `${location} [${module}]`;
  return reason === null ? place : `${reason} @ ${place}`;
}

interface Frame {
  readonly linkType: number;
  readonly bytes: Buffer;
  /** Before it was cut off. */
  readonly length: number;
}

/** https://www.tcpdump.org/linktypes.html */
const LinkType = { Ethernet: 1, Raw: 101, LinuxCooked: 113 } as const;

/** What the capture keeps of a packet; of a recording, which anybody may have written, no more is taken. */
const MAX_SAMPLE_BYTES = 128;
const COOKED_HEADER_BYTES = 16;
/** EtherType of a capture that could not tell its kinds of drop apart any more. */
const SEVERAL = 0xffff;

/** The packet in a form that readers can take apart. Null: nobody knows what it is. */
function frameOf({ link, length, vlan, bytes }: DropSample, protocol: number): Frame | null {
  const captured = Buffer.from(bytes, 'base64').subarray(0, MAX_SAMPLE_BYTES);
  const added = Math.max(length, captured.length) - captured.length;
  const frame = (linkType: number, parts: readonly Buffer[]): Frame => {
    const whole = Buffer.concat(parts);
    return { linkType, bytes: whole, length: whole.length + added };
  };
  if (link === 'ethernet') {
    return frame(LinkType.Ethernet, vlan === undefined ? [captured] : tagged(captured, vlan));
  }
  if (protocol === EtherType.IPv4 || protocol === EtherType.IPv6) {
    return frame(LinkType.Raw, [captured]);
  }
  if (protocol === SEVERAL) return null;
  return frame(LinkType.LinuxCooked, [cookedHeader(protocol), captured]);
}

/** With the VLAN tag back between addresses and EtherType, as on the wire. Its priority is not known. */
function tagged(frame: Buffer, vlan: number): readonly Buffer[] {
  const addresses = 12;
  if (frame.length < addresses) return [frame];
  const tag = Buffer.from([0x81, 0x00, vlan >> 8, vlan]);
  return [frame.subarray(0, addresses), tag, frame.subarray(addresses)];
}

/** For what is neither Ethernet nor IP: only the EtherType in it matters; there is no device type. */
function cookedHeader(protocol: number): Buffer {
  const header = Buffer.alloc(COOKED_HEADER_BYTES);
  header.writeUInt16BE(ARPHRD_NONE, 2);
  header.writeUInt16BE(protocol & 0xffff, COOKED_HEADER_BYTES - 2);
  return header;
}

const ARPHRD_NONE = 0xfffe;

const BlockType = { Section: 0x0a0d0d0a, Interface: 1, EnhancedPacket: 6 } as const;
const EVERY_BLOCK = { comment: 1 } as const;
const SectionOption = { ...EVERY_BLOCK, os: 3, application: 4 } as const;
const InterfaceOption = { name: 2, description: 3 } as const;

function sectionBlock({ tool, host, window }: Report): Buffer {
  const [byteOrderMagic, majorVersion, minorVersion, unknownLength] = [0x1a2b3c4d, 1, 0, -1n];
  const head = Buffer.alloc(16);
  head.writeUInt32LE(byteOrderMagic, 0);
  head.writeUInt16LE(majorVersion, 4);
  head.writeUInt16LE(minorVersion, 6);
  head.writeBigInt64LE(unknownLength, 8);
  return block(BlockType.Section, [
    head,
    options([
      [
        SectionOption.comment,
        `Packets dropped on ${host.hostname} in ${window.seconds} s: a sample, the first bytes of each`,
      ],
      [SectionOption.os, `Linux ${host.kernel}, ${host.distribution}`],
      [SectionOption.application, `${tool.name} ${tool.version}`],
    ]),
  ]);
}

function interfaceBlock({ device, frame }: Packet): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(frame.linkType, 0);
  head.writeUInt32LE(MAX_SAMPLE_BYTES + COOKED_HEADER_BYTES, 4);
  return block(BlockType.Interface, [
    head,
    options([
      [InterfaceOption.name, device.name ?? 'unknown'],
      [
        InterfaceOption.description,
        device.netns === null ? 'network namespace unknown' : `network namespace ${device.netns}`,
      ],
    ]),
  ]);
}

/** Times are in microseconds, as is usual where the interface does not say otherwise. */
function packetBlock(interfaceId: number, { timeUs, frame, comment }: Packet): Buffer {
  const { bytes, length } = frame;
  const time = BigInt.asUintN(64, BigInt(Math.trunc(timeUs)));
  const head = Buffer.alloc(20);
  head.writeUInt32LE(interfaceId, 0);
  head.writeUInt32LE(Number(time >> 32n), 4);
  head.writeUInt32LE(Number(time & 0xffff_ffffn), 8);
  head.writeUInt32LE(bytes.length, 12);
  head.writeUInt32LE(Math.min(length, 0xffff_ffff), 16);
  return block(BlockType.EnhancedPacket, [
    head,
    padded(bytes),
    options([[EVERY_BLOCK.comment, ...comment]]),
  ]);
}

function block(type: number, parts: readonly Buffer[]): Buffer {
  const frame = 12;
  const length = parts.reduce((sum, part) => sum + part.length, frame);
  const [head, tail] = [Buffer.alloc(8), Buffer.alloc(4)];
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(length, 4);
  tail.writeUInt32LE(length, 0);
  return Buffer.concat([head, ...parts, tail]);
}

function options(values: readonly (readonly [code: number, ...lines: string[]])[]): Buffer {
  const end = Buffer.alloc(4);
  const encoded = values.flatMap(([code, ...lines]) => {
    const value = Buffer.from(lines.map((line) => printable(line)).join('\n'));
    const head = Buffer.alloc(4);
    head.writeUInt16LE(code, 0);
    head.writeUInt16LE(value.length, 2);
    return [head, padded(value)];
  });
  return Buffer.concat([...encoded, end]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
