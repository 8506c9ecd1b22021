import type { Atom, Value } from '../../../checks/firewall.ts';
import type { Truth } from './truth.ts';

/** A port, a protocol, an IPv4 or MAC address; an IPv6 address is a bigint. */
export type Quantity = number | bigint;

interface Interval {
  readonly from: Quantity;
  readonly to: Quantity;
}

/** Numbers that nft prints by name. */
export type Names = ReadonlyMap<string, number>;

/** Whether a number is this value, or within it. */
export function isWithin(number: Quantity, value: Value, names: Names): Truth {
  const interval = intervalOf(value, names);
  if (interval === undefined) return 'unknown';
  return interval.from <= number && number <= interval.to ? 'yes' : 'no';
}

/** The same for many values. They are sorted once, and then found by bisection: block lists are long. */
export function amongMany(
  values: readonly Value[],
  names: Names = new Map(),
): (number: Quantity) => Truth {
  const known = values.flatMap((value) => intervalOf(value, names) ?? []);
  const otherwise = known.length === values.length ? 'no' : 'unknown';
  const sorted = joined(known);
  return (number) => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const interval = sorted[middle];
      if (interval === undefined) break;
      if (number < interval.from) high = middle;
      else if (number > interval.to) low = middle + 1;
      else return 'yes';
    }
    return otherwise;
  };
}

/** Sorted, and none overlaps another. */
function joined(intervals: readonly Interval[]): readonly Interval[] {
  const result: Interval[] = [];
  for (const next of [...intervals].sort((a, b) => compare(a.from, b.from))) {
    const last = result.at(-1);
    if (last === undefined || next.from > last.to) result.push(next);
    else if (next.to > last.to) result[result.length - 1] = { from: last.from, to: next.to };
  }
  return result;
}

function compare(a: Quantity, b: Quantity): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

function intervalOf(value: Value, names: Names): Interval | undefined {
  if (typeof value !== 'object') {
    const number = quantityOf(value, names);
    return number === undefined ? undefined : { from: number, to: number };
  }
  if ('prefix' in value) return networkOf(parseAddress(value.prefix), value.bits);
  const [from, to] = [quantityOf(value.from, names), quantityOf(value.to, names)];
  return from === undefined || to === undefined ? undefined : { from, to };
}

function networkOf(address: Quantity | undefined, bits: number): Interval | undefined {
  const host = (typeof address === 'bigint' ? 128 : 32) - bits;
  if (address === undefined || !Number.isInteger(host) || host < 0) return undefined;
  if (typeof address === 'number') {
    const from = address - (address % 2 ** host);
    return { from, to: from + 2 ** host - 1 };
  }
  const size = 1n << BigInt(host);
  const from = address - (address % size);
  return { from, to: from + size - 1n };
}

function quantityOf(atom: Atom, names: Names): Quantity | undefined {
  return typeof atom === 'number'
    ? atom
    : (names.get(atom) ?? parseAddress(atom) ?? parseMac(atom));
}

/** `10.0.0.1`, `2001:db8::1`, `::ffff:10.0.0.1`. Undefined: no address. */
export function parseAddress(text: string): Quantity | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** `02:00:00:00:00:01`. Undefined: no address of Ethernet. */
export function parseMac(text: string): number | undefined {
  return /^(?:[\da-f]{2}:){5}[\da-f]{2}$/i.test(text)
    ? Number.parseInt(text.replaceAll(':', ''), 16)
    : undefined;
}

function parseIpv4(text: string): number | undefined {
  let [address, byte, digits, dots] = [0, 0, 0, 0];
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit >= 0 && digit <= 9) {
      byte = byte * 10 + digit;
      digits++;
    } else if (text[index] === '.' && digits > 0) {
      address = address * 256 + byte;
      [byte, digits] = [0, 0];
      dots++;
    } else return undefined;
    if (byte > 255 || digits > 3) return undefined;
  }
  return dots === 3 && digits > 0 ? address * 256 + byte : undefined;
}

function parseIpv6(text: string): bigint | undefined {
  // An IPv4 address at the end is two groups.
  const [, before, last = ''] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text) ?? [];
  const ipv4 = parseIpv4(last);
  const plain =
    before === undefined || ipv4 === undefined
      ? text
      : `${before}${(ipv4 >>> 16).toString(16)}:${(ipv4 & 0xffff).toString(16)}`;
  const halves = plain.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], tail] = halves;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length > 2 || (tail === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...(tail ?? [])];
  if (!groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
