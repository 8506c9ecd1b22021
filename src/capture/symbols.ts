/** A place in kernel code, as the model names it (DropCount). */
export interface Location {
  /** Function without offset and compiler suffixes, or the raw address. */
  readonly location: string;
  /** Absent for the core kernel. */
  readonly module?: string;
}

/**
 * Normalises what the kernel prints for an address: `ip_rcv+0x1a/0x400 [mod]` (%pS), or name and
 * module of a /proc/kallsyms line. A C name holds no dot, so all from the first one on is of the
 * compiler's making (`.constprop.0`, `.isra.0`, `.part.3`, `.cold`, `.llvm.123`). A raw address stays as it is.
 */
export function normaliseLocation(text: string): Location {
  const [symbol = '', bracketed] = text.trim().split(/\s+/, 2);
  const withoutOffset = symbol.replace(/\+0x[0-9a-f]+(?:\/0x[0-9a-f]+)?$/i, '');
  // From index 1: 64-bit PowerPC (ELFv1) marks code with a leading dot.
  const dot = withoutOffset.indexOf('.', 1);
  const location = dot === -1 ? withoutOffset : withoutOffset.slice(0, dot);
  const module = bracketed?.startsWith('[') ? bracketed.slice(1).replace(/\]$/, '') : '';
  return module === '' ? { location } : { location, module };
}

/**
 * No kernel function is this long. Further beyond the last symbol, the address belongs to code that
 * /proc/kallsyms does not list (an unloaded module), or all addresses read as zero.
 */
export const maxFunctionBytes = 128 * 1024;

export interface ResolvedSymbols {
  /** An entry for every address that was asked for. */
  readonly locations: ReadonlyMap<string, Location>;
  /** Every address in the table was zero: kernel.kptr_restrict, or no CAP_SYSLOG. */
  readonly hidden: boolean;
}

/**
 * Finds the functions that hold some addresses in one pass over /proc/kallsyms, keeping only the
 * lines that are needed: the whole table has 100,000 to 300,000 symbols.
 *
 * @param addresses lower-case hexadecimal without `0x`, as wide as kallsyms prints them (8 or 16 digits)
 * @param kallsyms its text in chunks of any size
 */
export async function resolveSymbols(
  addresses: Iterable<string>,
  kallsyms: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ResolvedSymbols> {
  const search = new SymbolSearch(addresses);
  let rest: Uint8Array = Buffer.alloc(0);
  for await (const chunk of kallsyms) {
    const text = Buffer.concat([rest, chunk]);
    rest = text.subarray(search.lookAt(text));
  }
  return search.result();
}

/**
 * Equal widths make text order the order of numbers, so the addresses are sorted as text. The table is
 * compared as 32-bit halves in typed arrays: a double does not hold 64 bits, and an
 * object or a BigInt for each of its lines costs half a second.
 */
class SymbolSearch {
  readonly #wanted: readonly string[];
  readonly #width: number;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  // At index i the nearest symbol above wanted[i - 1] and not above wanted[i].
  readonly #nearestHigh: Uint32Array;
  readonly #nearestLow: Uint32Array;
  /** `ffffffff81000000 T _stext`, with `\t[module]` behind it for a module. Empty: none found. */
  readonly #nearestLine: string[];
  /** Where #nearestLine will come from, in the chunk at hand; -1: it is up to date. */
  readonly #nearestStart: Int32Array;
  #hidden = true;

  constructor(addresses: Iterable<string>) {
    this.#wanted = [...new Set(addresses)].sort();
    const count = this.#wanted.length;
    this.#width = this.#wanted[0]?.length ?? 16;
    this.#high = Uint32Array.from(this.#wanted, (text) => Number(`0x0${text.slice(0, -8)}`));
    this.#low = Uint32Array.from(this.#wanted, (text) => Number(`0x${text.slice(-8)}`));
    this.#nearestHigh = new Uint32Array(count);
    this.#nearestLow = new Uint32Array(count);
    this.#nearestLine = this.#wanted.map(() => '');
    this.#nearestStart = new Int32Array(count).fill(-1);
  }

  /** @returns where the last line, which is not complete, starts */
  lookAt(text: Buffer): number {
    const lowAt = this.#width - 8;
    let start = 0;
    for (let end = text.indexOf(newline); end !== -1; end = text.indexOf(newline, start)) {
      const high = parseHex(text, start, start + lowAt);
      const low = parseHex(text, start + lowAt, start + this.#width);
      if (high !== 0 || low !== 0) this.#hidden = false;
      // Modules are not sorted in, so every line has to be looked at.
      const index = this.#firstNotBelow(high, low);
      if (index < this.#wanted.length && this.#isNearer(index, high, low)) {
        this.#nearestHigh[index] = high;
        this.#nearestLow[index] = low;
        this.#nearestStart[index] = start;
      }
      start = end + 1;
    }
    for (const [index, lineStart] of this.#nearestStart.entries()) {
      if (lineStart === -1) continue;
      this.#nearestLine[index] = text.toString(
        'latin1',
        lineStart,
        text.indexOf(newline, lineStart),
      );
      this.#nearestStart[index] = -1;
    }
    return start;
  }

  result(): ResolvedSymbols {
    const locations = new Map<string, Location>();
    let nearest = -1;
    for (const [index, address] of this.#wanted.entries()) {
      if (this.#nearestLine[index] !== '') nearest = index;
      locations.set(address, this.#locate(index, nearest) ?? { location: `0x${address}` });
    }
    return { locations, hidden: this.#hidden };
  }

  #locate(index: number, nearest: number): Location | undefined {
    const line = this.#nearestLine[nearest];
    // nm(1) letters of code, global or local, weak included. A data symbol marks where code ends.
    if (line === undefined || !'tTwW'.includes(line.charAt(this.#width + 1))) return undefined;
    const beyond =
      ((this.#high[index] ?? 0) - (this.#nearestHigh[nearest] ?? 0)) * 2 ** 32 +
      ((this.#low[index] ?? 0) - (this.#nearestLow[nearest] ?? 0));
    return beyond < maxFunctionBytes ? normaliseLocation(line.slice(this.#width + 3)) : undefined;
  }

  /** Of several names for one address the kernel prints the first (kallsyms get_symbol_pos()). */
  #isNearer(index: number, high: number, low: number): boolean {
    if (this.#nearestStart[index] === -1 && this.#nearestLine[index] === '') return true;
    const nearestHigh = this.#nearestHigh[index] ?? 0;
    return high > nearestHigh || (high === nearestHigh && low > (this.#nearestLow[index] ?? 0));
  }

  #firstNotBelow(high: number, low: number): number {
    let from = 0;
    let to = this.#wanted.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const middleHigh = this.#high[middle] ?? 0;
      const below = middleHigh < high || (middleHigh === high && (this.#low[middle] ?? 0) < low);
      if (below) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

/** Number.parseInt would need a string. Garbage gives nonsense, not an error. */
function parseHex(text: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let index = start; index < end; index += 1) {
    const code = text[index] ?? 0;
    value = value * 16 + (code <= codeOf9 ? code - codeOf0 : code - codeOfA + 10);
  }
  return value;
}

const newline = 0x0a;
const codeOf0 = 0x30;
const codeOf9 = 0x39;
const codeOfA = 0x61;
