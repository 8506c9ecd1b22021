/** IP packets as hexadecimal text, EtherType first: what follows the addresses of a frame. */

export interface Ipv4Packet {
  readonly source: string;
  readonly destination: string;
  /** Default 64. */
  readonly ttl?: number;
  /** Default 17, UDP. */
  readonly protocol?: number;
  readonly id?: number;
  /** Flags and fragment offset: 0x4000 forbids fragments, 0x2000 says that more follow. */
  readonly fragment?: number;
  readonly wrongChecksum?: boolean;
  /** The header says so many bytes more than there are. */
  readonly missingBytes?: number;
  /** After the header; default 28 bytes. */
  readonly payloadBytes?: number;
}

export function ipv4(packet: Ipv4Packet): string {
  const { ttl = 64, protocol = 17, id = 1, fragment = 0, missingBytes = 0 } = packet;
  const { payloadBytes = 28 } = packet;
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payloadBytes + missingBytes, 2);
  header.writeUInt16BE(id, 4);
  header.writeUInt16BE(fragment, 6);
  header[8] = ttl;
  header[9] = protocol;
  header.set([...packet.source.split('.'), ...packet.destination.split('.')].map(Number), 12);
  header.writeUInt16BE(checksum(header) ^ (packet.wrongChecksum === true ? 1 : 0), 10);
  return `0800${header.toString('hex')}${udp(payloadBytes).toString('hex')}`;
}

/** From port 1000 to port 5000, without a checksum. */
function udp(bytes: number): Buffer {
  const payload = Buffer.alloc(bytes);
  payload.writeUInt16BE(1000, 0);
  payload.writeUInt16BE(5000, 2);
  payload.writeUInt16BE(bytes, 4);
  return payload;
}

export interface Ipv6Packet {
  /** 16 bytes as hexadecimal text. */
  readonly source: string;
  readonly destination: string;
  /** Default 64. */
  readonly hopLimit?: number;
  readonly nextHeader: number;
  /** Hexadecimal; an ICMPv6 checksum is filled in. */
  readonly payload: string;
}

const ICMPV6 = 58;

export function ipv6({ source, destination, hopLimit = 64, nextHeader, payload }: Ipv6Packet) {
  const addresses = Buffer.from(source + destination, 'hex');
  const content = Buffer.from(payload, 'hex');
  if (nextHeader === ICMPV6) {
    const pseudo = Buffer.from([0, 0, 0, content.length, 0, 0, 0, ICMPV6]);
    content.writeUInt16BE(checksum(Buffer.concat([addresses, pseudo, content])), 2);
  }
  const header = Buffer.from([0x60, 0, 0, 0, 0, content.length, nextHeader, hopLimit]);
  return `86dd${Buffer.concat([header, addresses, content]).toString('hex')}`;
}

/** RFC 1071, of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
