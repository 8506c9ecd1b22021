/** A reading in a line lies five levels deep at most (drops of a capture). */
const MAX_DEPTH = 16;

/**
 * Values of a whole recording. A host of 5,000 interfaces comes to some 4 million; ten times the
 * memory of the file is what small values cost once parsed.
 */
const MAX_VALUES = 10_000_000;

/**
 * Bounds what JSON.parse may build. Megabytes of `[` or of `0,` are a small file once compressed, and
 * would take gigabytes of memory before any schema sees them.
 */
export class JsonBudget {
  #values = MAX_VALUES;

  /** False: too deep, or too many values together with the texts before. Takes valid JSON and any garbage. */
  allows(json: Buffer): boolean {
    let depth = 0;
    for (let index = 0; index < json.length; index += 1) {
      const byte = json[index];
      if (byte === QUOTE) {
        index = endOfString(json, index + 1);
      } else if (byte === COMMA) {
        this.#values -= 1;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        depth += 1;
        if (depth > MAX_DEPTH) return false;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth -= 1;
      }
    }
    this.#values -= 1;
    return this.#values >= 0;
  }
}

/** Where the string that starts at `start` has its closing quote. Most of a recording is strings. */
function endOfString(json: Buffer, start: number): number {
  let end = json.indexOf(QUOTE, start);
  while (end !== -1) {
    let backslashes = 0;
    while (end - backslashes > start && json[end - backslashes - 1] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = json.indexOf(QUOTE, end + 1);
  }
  return json.length;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
