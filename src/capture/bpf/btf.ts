/**
 * BTF, the kernel's description of its own types (Documentation/bpf/btf.rst): as much of it as the
 * capture asks for. Of /sys/kernel/btf/vmlinux or of a module there, whose types build on those of vmlinux.
 */
export class Btf {
  readonly #view: DataView;
  readonly #bytes: Buffer;
  readonly #littleEndian: boolean;
  readonly #base: Btf | undefined;
  readonly #stringsAt: number;
  readonly #stringBytes: number;
  /** Where type `#firstId + index` starts. */
  readonly #offsets: Uint32Array;
  readonly #firstId: number;
  readonly #firstString: number;

  /** @throws BtfError for what is not BTF, or of a kind that is not known yet */
  constructor(bytes: Uint8Array, base?: Btf) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#base = base;
    this.#firstId = base === undefined ? 1 : base.#firstId + base.#offsets.length;
    this.#firstString = base === undefined ? 0 : base.#firstString + base.#stringBytes;
    if (bytes.length < headerBytes) throw new BtfError('too short');
    this.#littleEndian = this.#view.getUint16(0, true) === magic;
    if (this.#uint16(0) !== magic) throw new BtfError('no magic number');
    const headerLength = this.#uint32(4);
    const typesAt = headerLength + this.#uint32(8);
    const typesEnd = typesAt + this.#uint32(12);
    this.#stringsAt = headerLength + this.#uint32(16);
    this.#stringBytes = this.#uint32(20);
    if (typesEnd > bytes.length || this.#stringsAt + this.#stringBytes > bytes.length) {
      throw new BtfError('cut short');
    }
    this.#offsets = this.#findTypes(typesAt, typesEnd);
  }

  /**
   * The members of an enumeration, names by value as unsigned 32-bit numbers. Undefined if there is none
   * of that name. Of several, the first.
   */
  enumeration(name: string): ReadonlyMap<number, string> | undefined {
    const offset = this.#find(Kind.Enum, name);
    return offset === undefined ? undefined : this.#members(offset);
  }

  /** All enumerations whose name is wanted. */
  enumerations(isWanted: (name: string) => boolean): readonly ReadonlyMap<number, string>[] {
    const found: ReadonlyMap<number, string>[] = [];
    for (const offset of this.#offsets) {
      if (this.#kind(offset) !== Kind.Enum || !isWanted(this.#name(offset))) continue;
      found.push(this.#members(offset));
    }
    return found;
  }

  /** Names of the types of a function's parameters, by the name of a typedef of a pointer to it. */
  parametersOfPointer(typedef: string): readonly string[] | undefined {
    const start = this.#find(Kind.Typedef, typedef);
    const pointer = start === undefined ? undefined : this.#target(start);
    const prototype = pointer === undefined ? undefined : this.#target(pointer);
    if (prototype === undefined || this.#kind(prototype) !== Kind.FuncProto) return undefined;
    return Array.from({ length: this.#count(prototype) }, (_, index) =>
      this.#typeName(this.#uint32(prototype + typeBytes + index * 8 + 4)),
    );
  }

  /** Offsets of the members of a struct in bytes, and its size, as `''`. For a test of our own layouts. */
  struct(name: string): ReadonlyMap<string, number> | undefined {
    const start = this.#find(Kind.Struct, name);
    if (start === undefined) return undefined;
    const members = new Map([['', this.#uint32(start + 8)]]);
    for (let index = 0; index < this.#count(start); index += 1) {
      const member = start + typeBytes + index * 12;
      members.set(this.#string(this.#uint32(member)), this.#uint32(member + 8) / 8);
    }
    return members;
  }

  #find(kind: number, name: string): number | undefined {
    const nameAt = this.#findString(name);
    if (nameAt === undefined) return undefined;
    return this.#offsets.find(
      (offset) => this.#uint32(offset) === nameAt && this.#kind(offset) === kind,
    );
  }

  /** Where names refer to for this text: it is there once (btf__dedup). Faster than to decode all names. */
  #findString(text: string): number | undefined {
    const inBase = this.#base === undefined ? undefined : this.#base.#findString(text);
    if (inBase !== undefined) return inBase;
    // There is a zero in front of each but the first.
    if (this.#string(this.#firstString) === text) return this.#firstString;
    const at = this.#bytes.indexOf(`\0${text}\0`, this.#stringsAt, 'latin1') + 1;
    const end = this.#stringsAt + this.#stringBytes;
    return at === 0 || at > end ? undefined : at - this.#stringsAt + this.#firstString;
  }

  /** `sk_buff` for a pointer to one; empty for what has no name. */
  #typeName(id: number): string {
    let offset = this.#offsetOf(id);
    // As deep as `const struct sock *const` and then some; a ring in garbage ends too.
    for (let depth = 0; offset !== undefined && depth < 8; depth += 1) {
      const name = this.#name(offset);
      if (name !== '' || !kindsThatRefer.has(this.#kind(offset))) return name;
      offset = this.#target(offset);
    }
    return '';
  }

  #members(enumeration: number): ReadonlyMap<number, string> {
    const members = new Map<number, string>();
    for (let index = 0; index < this.#count(enumeration); index += 1) {
      const member = enumeration + typeBytes + index * 8;
      const value = this.#uint32(member + 4);
      // The first name of a value is its own, later ones are aliases (limits).
      if (!members.has(value)) members.set(value, this.#string(this.#uint32(member)));
    }
    return members;
  }

  #findTypes(typesAt: number, typesEnd: number): Uint32Array {
    const offsets = new Uint32Array((typesEnd - typesAt) / typeBytes);
    let types = 0;
    for (let offset = typesAt; offset < typesEnd; types += 1) {
      offsets[types] = offset;
      const perMember = bytesPerMember[this.#kind(offset)];
      const fixed = bytesBehind[this.#kind(offset)];
      if (perMember === undefined || fixed === undefined) {
        throw new BtfError(`unknown kind ${this.#kind(offset)}`);
      }
      offset += typeBytes + fixed + perMember * this.#count(offset);
      if (offset > typesEnd) throw new BtfError('a type beyond the end');
    }
    return offsets.slice(0, types);
  }

  #offsetOf(id: number): number | undefined {
    return this.#offsets[id - this.#firstId];
  }

  #target(offset: number): number | undefined {
    return this.#offsetOf(this.#uint32(offset + 8));
  }

  #kind(offset: number): number {
    return (this.#uint32(offset + 4) >>> 24) & 0x1f;
  }

  #count(offset: number): number {
    return this.#uint32(offset + 4) & 0xffff;
  }

  #name(offset: number): string {
    return this.#string(this.#uint32(offset));
  }

  #string(at: number): string {
    if (this.#base !== undefined && at < this.#firstString) return this.#base.#string(at);
    const start = this.#stringsAt + at - this.#firstString;
    return this.#bytes.toString('latin1', start, this.#bytes.indexOf(0, start));
  }

  #uint16(offset: number): number {
    return this.#view.getUint16(offset, this.#littleEndian);
  }

  #uint32(offset: number): number {
    if (offset + 4 > this.#bytes.length) throw new BtfError('an offset beyond the end');
    return this.#view.getUint32(offset, this.#littleEndian);
  }
}

export class BtfError extends Error {}

const magic = 0xeb9f;
const headerBytes = 24;
const typeBytes = 12;

/** BTF_KIND_… (include/uapi/linux/btf.h). */
const Kind = { Pointer: 2, Struct: 4, Enum: 6, Typedef: 8, FuncProto: 13 } as const;

/** Pointer, typedef, volatile, const, restrict, type tag. */
const kindsThatRefer: ReadonlySet<number> = new Set([2, 8, 9, 10, 11, 18]);

/** What follows struct btf_type, by kind 0 (void) to 19 (64-bit enum). */
const bytesBehind = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
const bytesPerMember = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];
