/** Of one block, as the draft lays it out. Throws for anything that is not. */
export interface Block {
  readonly type: number;
  readonly body: Buffer;
}

export interface ReadPacket {
  readonly timeUs: bigint;
  readonly length: number;
  readonly bytes: Buffer;
  readonly comment: string;
  readonly linkType: number;
  readonly interface: string;
  readonly description: string;
}

export interface ReadFile {
  /** Option code → text. */
  readonly section: ReadonlyMap<number, string>;
  readonly interfaces: number;
  readonly packets: readonly ReadPacket[];
}

/** Reads a file of one little-endian section, strictly. */
export function readPcapng(file: Uint8Array): ReadFile {
  const [section, ...blocks] = blocksOf(Buffer.from(file));
  assert(section?.type === 0x0a0d0d0a && section.body.readUInt32LE(0) === 0x1a2b3c4d, 'section');
  assert(section.body.readUInt16LE(4) === 1 && section.body.readUInt16LE(6) === 0, 'version 1.0');
  const interfaces: Pick<ReadPacket, 'linkType' | 'interface' | 'description'>[] = [];
  const packets: ReadPacket[] = [];
  for (const { type, body } of blocks) {
    if (type === 1) {
      const options = optionsOf(body.subarray(8));
      interfaces.push({
        linkType: body.readUInt16LE(0),
        interface: options.get(2) ?? '',
        description: options.get(3) ?? '',
      });
    } else {
      assert(type === 6, 'a packet');
      const on = interfaces[body.readUInt32LE(0)];
      assert(on !== undefined, 'its interface comes first');
      const captured = body.readUInt32LE(12);
      const padded = Math.ceil(captured / 4) * 4;
      assert(
        body.subarray(20 + captured, 20 + padded).every((byte) => byte === 0),
        'padding',
      );
      packets.push({
        ...on,
        timeUs: (BigInt(body.readUInt32LE(4)) << 32n) + BigInt(body.readUInt32LE(8)),
        length: body.readUInt32LE(16),
        bytes: body.subarray(20, 20 + captured),
        comment: optionsOf(body.subarray(20 + padded)).get(1) ?? '',
      });
    }
  }
  return { section: optionsOf(section.body.subarray(16)), interfaces: interfaces.length, packets };
}

function blocksOf(file: Buffer): readonly Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < file.length;) {
    const length = file.readUInt32LE(at + 4);
    assert(length >= 12 && length % 4 === 0 && at + length <= file.length, 'length of a block');
    assert(file.readUInt32LE(at + length - 4) === length, 'length of a block, again');
    blocks.push({
      type: file.readUInt32LE(at),
      body: file.subarray(at + 8, at + length - 4),
    });
    at += length;
  }
  return blocks;
}

/** To the end of the block: nothing may follow them. */
function optionsOf(bytes: Buffer): ReadonlyMap<number, string> {
  const options = new Map<number, string>();
  const decode = new TextDecoder('utf-8', { fatal: true });
  for (let at = 0; ;) {
    const [code, length] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)];
    const value = bytes.subarray(at + 4, at + 4 + length);
    assert(value.length === length, 'length of an option');
    at += 4 + Math.ceil(length / 4) * 4;
    if (code === 0) {
      assert(length === 0 && at === bytes.length, 'end of the options');
      return options;
    }
    assert(!options.has(code), 'an option is given once');
    options.set(code, decode.decode(value));
  }
}

function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not a pcapng file: ${what}`);
}
