/** Writes BTF, as the compiler would. */
export class BtfBuilder {
  readonly #types: Buffer[] = [];
  readonly #firstId: number;
  readonly #firstString: number;
  #strings: string;

  /** @param base what a module builds on; must be complete */
  constructor(base?: BtfBuilder) {
    this.#firstId = base === undefined ? 1 : base.#nextId;
    this.#firstString = base === undefined ? 0 : base.#firstString + base.#strings.length;
    this.#strings = base === undefined ? '\0' : '';
  }

  int(name: string): this {
    this.#type(name, 1, 0, 4, [0x01000020]);
    return this;
  }

  enumeration(name: string, members: Readonly<Record<string, number>>): this {
    const words = Object.entries(members).flatMap(([member, value]) => [
      this.#string(member),
      value,
    ]);
    this.#type(name, 6, words.length / 2, 4, words);
    return this;
  }

  /** A typedef of a pointer to a function with parameters of these types; '' is a void pointer. */
  tracepoint(name: string, parameters: readonly string[]): this {
    const ids = parameters.map((parameter) => this.#parameterType(parameter));
    const words = ids.flatMap((id) => [0, id]);
    const prototype = this.#type('', 13, ids.length, 0, words);
    this.#type(name, 8, 0, this.#type('', 2, 0, prototype, []), []);
    return this;
  }

  bytes(): Buffer {
    const types = Buffer.concat(this.#types);
    const strings = Buffer.from(this.#strings, 'latin1');
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    header.writeUInt8(1, 2);
    header.writeUInt32LE(24, 4);
    header.writeUInt32LE(types.length, 12);
    header.writeUInt32LE(types.length, 16);
    header.writeUInt32LE(strings.length, 20);
    return Buffer.concat([header, types, strings]);
  }

  get #nextId(): number {
    return this.#firstId + this.#types.length;
  }

  #parameterType(name: string): number {
    if (name === '') return this.#type('', 2, 0, 0, []);
    if (name === 'skb_drop_reason') return this.#type(name, 6, 0, 4, []);
    return this.#type('', 2, 0, this.#type('', 10, 0, this.#type(name, 4, 0, 8, []), []), []);
  }

  #type(
    name: string,
    kind: number,
    count: number,
    sizeOrType: number,
    words: readonly number[],
  ): number {
    const all = [
      name === '' ? 0 : this.#string(name),
      ((kind << 24) | count) >>> 0,
      sizeOrType,
      ...words,
    ];
    this.#types.push(Buffer.from(Uint32Array.from(all).buffer));
    return this.#nextId - 1;
  }

  #string(text: string): number {
    const at = this.#firstString + this.#strings.length;
    this.#strings += `${text}\0`;
    return at;
  }
}
