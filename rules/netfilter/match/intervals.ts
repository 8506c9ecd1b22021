import type { Atom, Value } from '../../../checks/firewall.ts';
import type { Truth } from './truth.ts';

/** IPv4 and IPv6 addresses, ports and protocols, all as numbers. */
interface Interval {
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Whether a number is among these values. They are sorted once, so that a block list costs no more
 * than a few comparisons.
 * @param names of numbers that nft prints by name
 */
export function numbersAmong(
  values: readonly Value[],
  names: ReadonlyMap<string, number> = new Map(),
): (number: bigint) => Truth {
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

/** Sorted, and none overlaps another: anonymous sets of older versions of nft may. */
function joined(intervals: readonly Interval[]): readonly Interval[] {
  const result: Interval[] = [];
  for (const next of [...intervals].sort((a, b) => compare(a.from, b.from))) {
    const last = result.at(-1);
    if (last === undefined || next.from > last.to) result.push(next);
    else if (next.to > last.to) result[result.length - 1] = { from: last.from, to: next.to };
  }
  return result;
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function intervalOf(value: Value, names: ReadonlyMap<string, number>): Interval | undefined {
  if (typeof value !== 'object') {
    const number = numberOf(value, names);
    return number === undefined ? undefined : { from: number, to: number };
  }
  if ('prefix' in value) {
    const first = parseAddress(value.prefix);
    const rest = (value.prefix.includes(':') ? 128 : 32) - value.bits;
    if (first === undefined || !Number.isInteger(rest) || rest < 0) return undefined;
    const size = 1n << BigInt(rest);
    const from = first - (first % size);
    return { from, to: from + size - 1n };
  }
  const [from, to] = [numberOf(value.from, names), numberOf(value.to, names)];
  return from === undefined || to === undefined ? undefined : { from, to };
}

function numberOf(atom: Atom, names: ReadonlyMap<string, number>): bigint | undefined {
  if (typeof atom === 'number') return Number.isSafeInteger(atom) ? BigInt(atom) : undefined;
  const named = names.get(atom);
  return named === undefined ? parseAddress(atom) : BigInt(named);
}

/** `10.0.0.1`, `2001:db8::1`, `::ffff:10.0.0.1`. Undefined: no address. */
export function parseAddress(text: string): bigint | undefined {
  if (!text.includes(':')) return parseIpv4(text);
  // An IPv4 address at the end is two groups.
  const groups = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const [, before = '', last = ''] = groups ?? [];
  const ipv4 = groups === null ? undefined : parseIpv4(last);
  if (groups !== null && ipv4 === undefined) return undefined;
  const plain =
    ipv4 === undefined
      ? text
      : `${before}${(ipv4 >> 16n).toString(16)}:${(ipv4 & 0xffffn).toString(16)}`;
  const halves = plain.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], tail] = halves;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length > 2 || (tail === undefined ? missing !== 0 : missing < 1)) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...(tail ?? [])];
  if (!all.every((group) => /^[\da-f]{1,4}$/i.test(group))) return undefined;
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

function parseIpv4(text: string): bigint | undefined {
  const bytes = text.split('.');
  if (bytes.length !== 4 || !bytes.every((byte) => /^\d{1,3}$/.test(byte) && Number(byte) < 256)) {
    return undefined;
  }
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
