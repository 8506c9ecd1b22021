import { normaliseReason } from './kfree-skb.ts';
import type { LineParser } from './line-parser.ts';
import { parsePlace } from './place.ts';
import type { Tally } from './tally.ts';

/**
 * `1 drops at tcp_v4_do_rcv+cd (0xffffffff81799bad) [software]`, `6 drops at location 0xffffffff9406e5b6`,
 * `5 drops at ttl_value_is_too_small [hardware]`. Groups: packets, symbol or address, address, origin.
 */
const SUMMARY =
  /(\d+) drops? at (?:location )?(\S+)(?: \((0x[0-9a-f]+)\))?(?: \[(software|hardware)\])?/i;
/** `drop at: ip_rcv_finish_core.isra.0+0x1de/0x440 (0xffffffff96b6294e)`, `drop at: acl (acl_drops)` */
const PACKET = /drop at: (\S+)(?: \(([^)]*)\))?/i;
const FIELD =
  /^\s*(origin|input port ifindex|input port name|timestamp|protocol|length|original length|drop reason|reason|cookie|flow action cookie|namespace)\s*: ?(.*)$/i;

/**
 * dropwatch (github.com/nhorman/dropwatch, src/main.c), all versions since 2009: one line for each place
 * and second, or with `set alertmode packet` (Linux 5.4) some lines for each packet.
 */
export class DropwatchParser implements LineParser {
  readonly format = 'dropwatch';
  readonly #tally: Tally;
  #packet: { at: string; beside: string; fields: Map<string, string> } | undefined;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  take(line: string): boolean {
    if (this.#packet !== undefined) {
      const [, name = '', value = ''] = FIELD.exec(line) ?? [];
      if (name !== '') {
        this.#packet.fields.set(name.toLowerCase(), value.trim());
        return true;
      }
      this.end();
    }
    if (!line.includes(' at') && !line.includes('drop')) return false;
    return this.#takeSummary(line) || this.#takePacket(line);
  }

  end(): void {
    if (this.#packet === undefined) return;
    const { at, beside, fields } = this.#packet;
    this.#packet = undefined;
    if (fields.size === 0) return;
    const hardware = fields.get('origin') === 'hardware';
    const place = hardware ? trap(at) : parsePlace(at, beside);
    if (place === undefined) return;
    const reason = fields.get('drop reason') ?? fields.get('reason');
    const protocol = Number(fields.get('protocol') ?? Number.NaN);
    const name = fields.get('input port name') ?? numbered(fields.get('input port ifindex'));
    const seconds = secondsOf(fields.get('timestamp'));
    if (seconds !== undefined) this.#tally.at(seconds);
    this.#tally.add({
      packets: 1,
      place,
      ...(reason !== undefined && { reason: normaliseReason(reason) }),
      ...(Number.isInteger(protocol) && { protocol }),
      ...(name !== undefined && { interface: name }),
      ...(hardware && { hardware }),
    });
  }

  #takeSummary(line: string): boolean {
    const [, count = '', at = '', address, origin] = SUMMARY.exec(line) ?? [];
    const packets = Number(count);
    const hardware = origin?.toLowerCase() === 'hardware';
    // Prose has drops at night; dropwatch has an offset or an address.
    const isPrinted = at.includes('+') || at.startsWith('0x');
    const place = hardware ? trap(at) : isPrinted ? parsePlace(at, address) : undefined;
    // A count that a double does not hold is no count of dropwatch.
    if (place === undefined || !Number.isSafeInteger(packets) || packets === 0) return false;
    this.#tally.add({ packets, place, ...(hardware && { hardware }) });
    return true;
  }

  #takePacket(line: string): boolean {
    const [, at, beside = ''] = PACKET.exec(line) ?? [];
    if (at === undefined) return false;
    this.#packet = { at, beside, fields: new Map() };
    return true;
  }
}

function numbered(ifindex: string | undefined): string | undefined {
  return ifindex === undefined ? undefined : `ifindex ${ifindex}`;
}

/** `Thu Dec 22 13:14:21 2022 005165840 nsec`; in whichever time zone, since only differences count. */
function secondsOf(timestamp = ''): number | undefined {
  const [, date, nanoseconds] = /^(.*\d{4}) (\d{1,9}) nsec$/.exec(timestamp) ?? [];
  const seconds = Date.parse(`${date} UTC`) / 1000 + Number(nanoseconds) / 1e9;
  return Number.isFinite(seconds) ? seconds : undefined;
}

/** Drops in hardware have the name of a devlink trap where others have a function. */
function trap(name: string) {
  return { kind: 'function', location: name } as const;
}
