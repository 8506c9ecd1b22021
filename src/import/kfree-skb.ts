import type { LineParser } from './line-parser.ts';
import { givenUpAt, parsePlace, type Frame, type Place } from './place.ts';
import type { Tally } from './tally.ts';

/** Frames of one stack that are looked at. */
const MAX_FRAMES = 64;

/** What a tracer printed of one `skb:kfree_skb`, before its stack is known. */
interface TraceEvent {
  readonly location: Place | undefined;
  readonly reason: string | undefined;
  readonly protocol: number | undefined;
  readonly stack: Frame[];
}

const EVENT = /\b(skb:)?kfree_skb: +skbaddr=/;
/** Seconds, as perf and ftrace print them in front of the event. */
const TIME = /(\d+\.\d{3,9}): +(?:skb:)?kfree_skb:/;
const LOCATION = /\blocation=(\S+)(?: \[([\w-]+)\])?/;
const PROTOCOL = /\bprotocol=(\d+)/;
const REASON = /\breason: ?(\S+)/;
/** perf: `ffffffff93c74de8 ip_rcv+0xd8 ([kernel.kallsyms])`; groups: address, symbol, object. */
const PERF_FRAME = /^\s*([0-9a-f]{1,16}) (\[unknown\]|\S+) \((.*?)\)?\s*$/;
/** ftrace: ` => ip_rcv` */
const FTRACE_FRAME = /^\s*=> (\S+)(?: \[([\w-]+)\])?/;

/**
 * `perf script` of `skb:kfree_skb` and the same event in trace_pipe or `trace-cmd report`: one line for
 * each drop (include/trace/events/skb.h), of which only `location` was there from the start (2.6.30);
 * `reason` came in 5.17, `rx_sk` in 6.11; and behind it the stack, if it was asked for.
 */
export class KfreeSkbParser implements LineParser {
  readonly format;
  readonly #tally: Tally;
  #event: TraceEvent | undefined;
  /** An event line that mail software broke before its location. */
  #broken = '';

  constructor(tally: Tally, format: 'perf script' | 'trace_pipe') {
    this.#tally = tally;
    this.format = format;
  }

  take(line: string): boolean {
    return this.#takeFrame(line) || this.#takeEvent(line);
  }

  end(): void {
    this.#broken = '';
    if (this.#event === undefined) return;
    const { location, stack, reason, protocol } = this.#event;
    this.#event = undefined;
    const place = givenUpAt(location, stack);
    if (place === undefined) return;
    this.#tally.add({
      packets: 1,
      place,
      ...(reason !== undefined && { reason }),
      ...(protocol !== undefined && { protocol }),
    });
  }

  #takeEvent(line: string): boolean {
    const mark = line.includes('kfree_skb:') ? EVENT.exec(line) : null;
    const continued = mark === null && this.#broken !== '' && line.includes('location=');
    if (
      !continued &&
      (mark === null || (mark[1] === undefined) !== (this.format === 'trace_pipe'))
    ) {
      return false;
    }
    const text = continued ? `${this.#broken} ${line}` : line;
    this.end();
    const [, location, module] = LOCATION.exec(text) ?? [];
    if (location === undefined) {
      this.#broken = text;
      return true;
    }
    const time = TIME.exec(text)?.[1];
    if (time !== undefined) this.#tally.at(Number(time));
    const protocol = PROTOCOL.exec(text)?.[1];
    this.#event = {
      location: parsePlace(location, undefined, module),
      reason: normaliseReason(REASON.exec(text)?.[1]),
      protocol: protocol === undefined ? undefined : Number(protocol) & 0xffff,
      stack: [],
    };
    return true;
  }

  #takeFrame(line: string): boolean {
    if (this.#event === undefined) return false;
    if (/^\s*<stack trace>|=> ?<stack trace>/.test(line)) return true;
    const frame = this.format === 'perf script' ? perfFrame(line) : ftraceFrame(line);
    if (frame === undefined) return false;
    if (frame !== 'nameless' && this.#event.stack.length < MAX_FRAMES)
      this.#event.stack.push(frame);
    return true;
  }
}

function perfFrame(line: string): Frame | 'nameless' | undefined {
  const [, address, symbol, object = ''] = PERF_FRAME.exec(line) ?? [];
  if (address === undefined || symbol === undefined) return undefined;
  if (symbol === '[unknown]') return 'nameless';
  // `([kernel.kallsyms])`, `(/usr/lib/debug/…/vmlinux)`, of a module `([nf_tables])`
  const module = /^\[([\w-]+)\]$/.exec(object)?.[1];
  const place = parsePlace(symbol, address, module);
  return place === undefined ? 'nameless' : { place, address: `0x${address}` };
}

function ftraceFrame(line: string): Frame | 'nameless' | undefined {
  const [, symbol, module] = FTRACE_FRAME.exec(line) ?? [];
  if (symbol === undefined) return undefined;
  const place = parsePlace(symbol, undefined, module);
  return place === undefined ? 'nameless' : { place };
}

/**
 * The name as the kernel has it: `SKB_DROP_REASON_NO_SOCKET` is `NO_SOCKET`. Undefined where none was
 * printed. What has no name is printed as a number: the high 16 bits are the subsystem.
 */
export function normaliseReason(text: string): string;
export function normaliseReason(text: string | undefined): string | undefined;
export function normaliseReason(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const name = text.trim().replace(/^(?:reason )?(?:SKB_DROP_REASON_)?/, '');
  if (!/^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(name)) return name;
  const number = Number(name);
  return number > 0xffff
    ? `subsystem ${number >>> 16} reason ${number & 0xffff}`
    : `reason ${number}`;
}
