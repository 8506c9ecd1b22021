import { maxFunctionBytes, normaliseLocation } from '../capture/symbols.ts';
import type { UnresolvedDrop } from '../model/import-report.ts';

/** Where a packet was freed, as far as the printed symbol can be believed. */
export type Place =
  | { readonly kind: 'function'; readonly location: string; readonly module?: string }
  | ({ readonly kind: 'address' } & Pick<UnresolvedDrop, 'address' | 'area' | 'refuted'>);

/**
 * `tcp_v4_rcv`, `ip_rcv_core+0x22c/0x3d0`, `tcp_v4_rcv+80` (dropwatch: hexadecimal without 0x). Groups:
 * name, offset, size of the function.
 */
const SYMBOL = /^(\.?[a-z_][\w.$]*)(?:\+(?:0x)?([0-9a-f]*))?(?:\/(?:0x)?([0-9a-f]*))?$/i;
/** NET_DM_MAX_SYMBOL_LEN: the kernel cuts the symbols it gives dropwatch in packet mode, and with them offsets. */
const CUT_LENGTH = 39;
/** A symbol of exactly so many hexadecimal digits there is none. */
const ADDRESS = /^(?:0x([0-9a-f]{1,16})|([0-9a-f]{16}|[0-9a-f]{8}))$/i;

/**
 * What a tool printed for the address of a drop. The nearest symbol below an address is not the function
 * that holds it: old symbolisers know no modules, and name the last symbol of the core kernel with an
 * offset of megabytes.
 *
 * @param text symbol or address
 * @param address where the tool printed it beside the symbol
 * @param module as printed in brackets behind it
 * @returns undefined if it is neither
 */
export function parsePlace(text: string, address?: string, module?: string): Place | undefined {
  const bare = digitsOf(text);
  if (bare !== undefined) return atAddress(bare);
  const symbol = SYMBOL.exec(text);
  if (symbol === null) return undefined;
  const [, name = '', offset = '0', size] = symbol;
  const distance = Number.parseInt(offset, 16) || 0;
  const end = size === undefined ? maxFunctionBytes : Number.parseInt(size, 16);
  if (distance < end || distance === 0 || text.length === CUT_LENGTH) {
    return {
      kind: 'function',
      ...normaliseLocation(module === undefined ? name : `${name} [${module}]`),
    };
  }
  const refuted = `${name}+0x${distance.toString(16)}`;
  const digits = digitsOf(address ?? '');
  if (digits === undefined) return { kind: 'address', address: refuted, area: 'unknown', refuted };
  const place = atAddress(digits);
  // Between the core, all of whose functions have names, and the end of the addresses.
  const isLoadedLater = place.area === 'module' || /^0xffffffff[ab]/.test(place.address);
  return { ...place, area: isLoadedLater ? 'module' : 'unknown', refuted };
}

function digitsOf(text: string): string | undefined {
  const [, prefixed, bare] = ADDRESS.exec(text) ?? [];
  return prefixed ?? bare;
}

function atAddress(digits: string): Extract<Place, { kind: 'address' }> {
  const address = digits.toLowerCase();
  return { kind: 'address', address: `0x${address}`, area: areaOf(address) };
}

/**
 * x86-64: Documentation/arch/x86/x86_64/mm.rst. The core kernel starts at 0xffffffff80000000; modules and
 * BPF programs at 0xffffffffa0000000, or 0xffffffffc0000000 where the kernel can be at a random address
 * (the core then may lie up to there). Elsewhere addresses do not tell. What the kernel prints with `%p` is
 * a hash with zeros in front (Documentation/core-api/printk-formats.rst), so in trace_pipe before 6.2.
 */
function areaOf(address: string): UnresolvedDrop['area'] {
  if (/^0{8}[0-9a-f]{8}$/.test(address)) return 'hidden';
  if (!/^ffffffff[89a-f]/.test(address)) return 'unknown';
  if (address < 'ffffffffa0000000') return 'core';
  return address < 'ffffffffc0000000' ? 'unknown' : 'module';
}

/** Functions that free packets for others: who gave a packet up is the caller. */
const FREEING =
  /^(?:__?kfree_skb|kfree_skb|sk_skb_reason_drop|skb_release_|skb_free_head|__traceiter_|trace_event_raw_)/;

/** A line of a stack. */
export interface Frame {
  readonly place: Place;
  /** As in a Place. */
  readonly address?: string;
}

/**
 * The function that gave a packet up: the printed location, or the first of the stack that does more
 * than free, where the location has no name or is such a function.
 *
 * @param stack innermost first
 */
export function givenUpAt(location: Place | undefined, stack: readonly Frame[]): Place | undefined {
  if (location?.kind === 'function' && !FREEING.test(location.location)) return location;
  const same = stack.findIndex(
    ({ address }) => location?.kind === 'address' && address === location.address,
  );
  const callers = stack.slice(Math.max(same, 0)).map(({ place }) => place);
  return (
    callers.find((place) => place.kind === 'function' && !FREEING.test(place.location)) ?? location
  );
}
