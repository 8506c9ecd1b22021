import { EtherType } from '../model/drops.ts';
import type { Destination } from '../model/import-report.ts';
import { normaliseReason } from './kfree-skb.ts';
import type { LineParser } from './line-parser.ts';
import { givenUpAt, parsePlace, type Frame } from './place.ts';
import type { Tally } from './tally.ts';

/**
 * `4152973315243 [nc] 14839 [tp] skb:kfree_skb drop (NO_SOCKET)`, since 1.5 `136852333279 (3) [swapper/3] 0
 * [tp] skb:kfree_skb #1fdd… (skb ffff…) n 2 drop (reason NETFILTER_DROP)`; in a sorted series behind `+` or `↳`.
 */
const EVENT = /\[tp\] skb:kfree_skb\b/;
const TIME = /^\s*(?:[+↳] )?(\d{6,19}) /;
const REASON = /\bdrop \((?:reason )?([^)\s]+)\)/;
/** Another event begins: its packet is not ours. */
const OTHER_EVENT = /\[(?:tp|k|kr|u|r)\] \w/;
const FRAME = /^\s+([a-z_.][\w.$]*\+0x[0-9a-f]+)(?: \[([\w-]+)\])?\s*$/i;
const MAX_FRAMES = 64;
/** `172.16.42.1.40532 > 172.16.42.2.8080 … proto TCP (6) flags [S]`, `::1 > ::2 … proto ICMPv6 (58)` */
const FLOW = /\S+ > ([0-9a-f:.]+) .*\bproto (\w+) \(\d+\)(?:.* flags (\[[^\]]*\]))?/i;
const WITH_PORTS = /^(?:TCP|UDP|UDP-?Lite|SCTP|DCCP)$/i;
/** Frames of the program that retis itself attached. */
const OWN_FRAME = /^(?:bpf_prog_|bpf_trace_run|__bpf_trace)/;
const INTERFACE = /\bif \d+ \(([^)\s]+)\)/;

interface RetisEvent {
  readonly reason: string | undefined;
  readonly stack: Frame[];
  destination?: Destination;
  protocol?: number;
  interface?: string;
}

/** What `retis collect` prints, or `retis print` and `retis sort` of what it saved (retis.readthedocs.io). */
export class RetisParser implements LineParser {
  readonly format = 'retis';
  readonly #tally: Tally;
  #event: RetisEvent | undefined;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  take(line: string): boolean {
    if (line.includes('kfree_skb') && EVENT.test(line)) {
      this.end();
      const time = TIME.exec(line)?.[1];
      // Nanoseconds.
      if (time !== undefined) this.#tally.at(Number(time) / 1e9);
      this.#event = { reason: normaliseReason(REASON.exec(line)?.[1]), stack: [] };
      return true;
    }
    if (this.#event === undefined || line.trim() === '' || OTHER_EVENT.test(line)) return false;
    return this.#takeFrame(this.#event, line) || this.#takePacket(this.#event, line);
  }

  end(): void {
    if (this.#event === undefined) return;
    const { reason, stack, ...packet } = this.#event;
    this.#event = undefined;
    // Without a stack, retis does not say where.
    const place =
      givenUpAt(undefined, stack) ?? ({ kind: 'function', location: 'unknown' } as const);
    this.#tally.add({ packets: 1, place, ...(reason !== undefined && { reason }), ...packet });
  }

  #takeFrame({ stack }: RetisEvent, line: string): boolean {
    const [, symbol = '', module] = FRAME.exec(line) ?? [];
    const place = symbol === '' ? undefined : parsePlace(symbol, undefined, module);
    if (place === undefined) return false;
    if (stack.length < MAX_FRAMES && !OWN_FRAME.test(symbol)) stack.push({ place });
    return true;
  }

  #takePacket(event: RetisEvent, line: string): boolean {
    const name = INTERFACE.exec(line)?.[1];
    if (name !== undefined) event.interface = name;
    const [, target, protocol, flags] = FLOW.exec(line) ?? [];
    if (target === undefined || protocol === undefined)
      return name !== undefined || /^\s+\S/.test(line);
    event.protocol = target.includes(':') ? EtherType.IPv6 : EtherType.IPv4;
    const dot = WITH_PORTS.test(protocol) ? target.lastIndexOf('.') : -1;
    event.destination = {
      protocol,
      address: dot === -1 ? target : target.slice(0, dot),
      ...(dot !== -1 && { port: Number(target.slice(dot + 1)) }),
      ...(flags === '[S]' && { opens: true }),
    };
    return true;
  }
}
