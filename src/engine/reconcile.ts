import { counterTitle } from '../catalogue/counter.ts';
import { counterOf } from '../catalogue/counters.ts';
import { findReason } from '../catalogue/reasons.ts';
import { EtherType, packetsOf, type DropCapture, type DropCount } from '../model/drops.ts';
import type { Report } from '../model/report.ts';

type Row = Report['reconciliation'][number];

export interface Reconciled {
  /** Counters of loss that rose, the biggest rise first. */
  readonly rows: readonly Row[];
  /** Captured drops for which no counter rose. */
  readonly uncounted: readonly DropCount[];
}

/**
 * Holds the counters against the captured events, both ways: how much of each counter's rise was seen
 * as events, and which events no counter shows. Which reason belongs to which counter is in src/catalogue.
 *
 * @param rises by `<check id> <counter>`
 * @param capture of this namespace, as far as it can be told; undefined: drops were not watched
 * @param silent ids of causes at work that lose packets without a drop event
 */
export function reconcile(
  rises: ReadonlyMap<string, number>,
  capture: DropCapture | undefined,
  silent: ReadonlySet<string>,
): Reconciled {
  const risen = [...rises].flatMap(([name, rise]) => {
    const counter = rise > 0 ? lossCounterOf(name) : undefined;
    return counter === undefined ? [] : [{ ...counter, rise }];
  });
  const drops = capture?.drops ?? [];
  const seen = new Set<DropCount>();
  const rows = risen.map(({ rise, ...counter }): Row => {
    const events = drops.filter((drop) => isCountedBy(drop, counter));
    for (const drop of events) seen.add(drop);
    const byEvents = Math.min(rise, packetsOf(events));
    return {
      counter: counter.title,
      rise,
      byEvents,
      beforeEvents:
        counter.beforeEvents || counter.causes.some((id) => silent.has(id)) ? rise - byEvents : 0,
    };
  });
  return {
    rows: rows.sort((a, b) => b.rise - a.rise),
    uncounted: drops.filter((drop) => !seen.has(drop)),
  };
}

interface LossCounter {
  readonly title: string;
  /** In the catalogue; undefined for one of a driver. */
  readonly key?: string;
  readonly interface?: string;
  /** Ids of causes that make it rise. */
  readonly causes: readonly string[];
  /** It counts what was lost in the card, before there was an skb. */
  readonly beforeEvents: boolean;
}

/** Statistics of the card. What of `rx_dropped` is lost later has an event. */
const OF_THE_CARD =
  /^link\.(?:rx_(?:missed|fifo|over|crc|frame|length)_|tx_(?:fifo|carrier|aborted)_)/;

/** @param name `<check id> <counter>`; undefined: no counter of loss, or a part of another one */
function lossCounterOf(name: string): LossCounter | undefined {
  const [check, counter] = splitAt(name, name.indexOf(' '));
  if (check === 'ethtool')
    return { title: `ethtool -S ${counter.replace('.', ' ')}`, causes: [], beforeEvents: true };
  const [device, last] =
    check === 'snmp' ? ['', counter] : splitAt(counter, counter.lastIndexOf('.'));
  // Softnet counts for each CPU and in total.
  if (check === 'softnet' && device !== '') return undefined;
  const key = check === 'snmp' ? counter : `${check}.${last}`;
  const known = counterOf(key);
  if (known?.loss !== 'yes') return undefined;
  // A queue is named by its interface and its place there.
  const on = check === 'qdisc' ? device.slice(0, device.lastIndexOf('.')) : device;
  return {
    key,
    title: device === '' ? counterTitle(known) : `${counterTitle(known)} of ${device}`,
    causes: known.causes,
    beforeEvents: OF_THE_CARD.test(key),
    ...(on !== '' && { interface: on }),
  };
}

function splitAt(text: string, index: number): [string, string] {
  return index === -1 ? ['', text] : [text.slice(0, index), text.slice(index + 1)];
}

function isCountedBy({ reason, protocol, details }: DropCount, counter: LossCounter): boolean {
  if (counter.key === undefined || reason === null) return false;
  if (findReason(reason)?.counters?.includes(counter.key) !== true) return false;
  const where = details?.interface ?? undefined;
  if (counter.interface !== undefined && where !== undefined && where !== counter.interface) {
    return false;
  }
  const version = ipVersionOf(counter.key);
  return version === undefined || version === protocol;
}

/** TCP and the extensions count both versions. */
function ipVersionOf(key: string): number | undefined {
  const group = key.slice(0, key.indexOf('.'));
  if (/^(?:Ip|Udp|UdpLite|Icmp)6$/.test(group)) return EtherType.IPv6;
  return /^(?:Ip|Udp|UdpLite|Icmp|IpExt)$/.test(group) ? EtherType.IPv4 : undefined;
}
