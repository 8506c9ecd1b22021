import type { InterfaceCounters } from '../model/import-report.ts';
import type { LineParser } from './line-parser.ts';
import type { Tally } from './tally.ts';

/**
 * `netstat -i`: a header that names the columns, a row for each interface. Its RX-DRP is the `drop` of
 * /proc/net/dev: rx_dropped and rx_missed_errors in one (net/core/net-procfs.c).
 */
export class NetstatParser implements LineParser {
  readonly format = 'netstat -i';
  readonly #tally: Tally;
  #columns: readonly string[] = [];

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  take(line: string): boolean {
    if (line.includes('RX-OK') && line.includes('Iface')) {
      this.#columns = words(line.slice(line.indexOf('Iface')));
      return true;
    }
    const cells = this.#columns.length === 0 ? [] : words(line);
    if (cells.length !== this.#columns.length) {
      // An alias (`eth0:1 … - no statistics available -`) does not end the table.
      return this.#columns.length > 0 && line.includes('no statistics available');
    }
    const row = new Map(this.#columns.map((column, index) => [column, cells[index] ?? '']));
    const rx = countersOf(row, 'RX-OK', 'RX-ERR', 'RX-DRP', 'RX-OVR');
    const tx = countersOf(row, 'TX-OK', 'TX-ERR', 'TX-DRP', 'TX-OVR');
    const name = row.get('Iface');
    if (rx === undefined || tx === undefined || name === undefined) return false;
    this.#tally.read({ interface: name, rx, tx });
    return true;
  }

  end(): void {
    this.#columns = [];
  }
}

/** `2: eth0@if3: <BROADCAST,UP> mtu 1500 …` */
const LINK = /(?:^|\s)\d+: ([^\s:@]+)(?:@[^\s:]+)?: <[^>]*> mtu \d/;
/** `RX:  bytes packets errors dropped  missed   mcast`, `RX errors:  length    crc   frame    fifo overrun` */
const HEADER = /^\s*([RT])X(?: errors)?: +([a-z][a-z_ ]*)$/i;

/**
 * `ip -s link` and `ip -s -s link` (iproute2 ip/ipaddress.c): of each interface a header and a line of
 * numbers for each direction. `missed` is what the receive ring had no room for; before 5.9 the column was
 * `overrun`.
 */
export class IpLinkParser implements LineParser {
  readonly format = 'ip -s link';
  readonly #tally: Tally;
  #interface = '';
  #header: { readonly direction: string; readonly columns: readonly string[] } | undefined;
  readonly #values = new Map<string, string>();

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  take(line: string): boolean {
    const name = line.includes(' mtu ') ? LINK.exec(line)?.[1] : undefined;
    if (name !== undefined) {
      this.end();
      this.#interface = name;
      return true;
    }
    if (this.#interface === '') return false;
    const [, direction, columns] = HEADER.exec(line) ?? [];
    if (direction !== undefined && columns !== undefined) {
      this.#header = { direction: `${direction.toUpperCase()}X`, columns: words(columns) };
      return true;
    }
    if (this.#header === undefined) return line.trim() !== '' && /^\s/.test(line);
    const { direction: of, columns: named } = this.#header;
    this.#header = undefined;
    for (const [index, value] of words(line).entries()) {
      this.#values.set(`${of} ${named[index] ?? ''}`, value);
    }
    return true;
  }

  end(): void {
    const rx = countersOf(
      this.#values,
      'RX packets',
      'RX errors',
      'RX dropped',
      'RX missed',
      'RX overrun',
    );
    const tx = countersOf(this.#values, 'TX packets', 'TX errors', 'TX dropped', 'TX fifo');
    if (this.#interface !== '' && rx !== undefined && tx !== undefined) {
      this.#tally.read({ interface: this.#interface, rx, tx });
    }
    this.#interface = '';
    this.#header = undefined;
    this.#values.clear();
  }
}

/** Undefined: a column is missing, or is no number. */
function countersOf(
  row: ReadonlyMap<string, string>,
  ...[packets, errors, dropped, ...overruns]: readonly string[]
): InterfaceCounters | undefined {
  const counter = (column = ''): number => {
    // Bold in Markdown, where somebody wanted to point at it.
    const text = /^\**(\d+)\**$/.exec(row.get(column) ?? '')?.[1];
    return text === undefined ? Number.NaN : Number(text);
  };
  const known = overruns.map((column) => counter(column)).find(Number.isSafeInteger);
  const counters = {
    packets: counter(packets),
    errors: counter(errors),
    dropped: counter(dropped),
    overruns: known ?? null,
  };
  const isWhole = [counters.packets, counters.errors, counters.dropped].every(Number.isSafeInteger);
  return isWhole ? counters : undefined;
}

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
