/** From the first character of a text to behind the last. */
export type Place = readonly [start: number, end: number];

/**
 * Where the entries of `{"nftables": [entry, …]}` are: parsed as a whole, the JSON of 50,000 rules takes
 * 200 MB. It throws where the text is not of that form; what is in an entry is not looked at.
 */
export function* entriesOf(text: string): Iterable<Place> {
  const opening = /^\s*\{\s*"nftables"\s*:\s*\[/.exec(text);
  if (opening === null) throw new SyntaxError('not the JSON of nft');
  let depth = 0;
  let start = -1;
  for (let at = opening[0].length; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) {
      at = endOfString(text, at + 1);
    } else if (character === OPEN_BRACE || character === OPEN_BRACKET) {
      if (depth === 0) start = at;
      depth += 1;
    } else if (character === CLOSE_BRACE || character === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) yield [start, at + 1];
      else if (depth < 0) {
        if (/^\]\s*\}\s*$/.test(text.slice(at))) return;
        break;
      }
    }
  }
  throw new SyntaxError('the JSON of nft does not end well');
}

/** Where the string that starts there has its closing quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
