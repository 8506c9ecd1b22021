import { findLocation } from '../catalogue/locations.ts';
import { findReason } from '../catalogue/reasons.ts';
import { etherTypeName } from '../model/ethertypes.ts';
import type { Report, ReportDrops } from '../model/report.ts';
import type { Scope } from '../model/rule.ts';

/** Shared by every format meant for people, so that a number reads the same in all of them. */

/** `12,345` */
export function formatCount(count: number): string {
  return separated(String(Math.round(count)));
}

/** Intl would take 40 ms of each start of the program for it: it loads its data first. */
function separated(digits: string): string {
  return digits.replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `1 packet`, `12,345 packets`; any noun that takes an s. */
export function formatCountOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `2,455/s`, `0.4/s`. Rates in a report have one digit: rounded from there, the same rate reads the same everywhere. */
export function formatRate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 0.1) return '<0.1/s';
  const rate = Number(perSecond.toFixed(1));
  return `${rate < 10 ? rate : formatCount(rate)}/s`;
}

/** `99.6 %`; says 100 only when it is all. */
export function formatShare(share: number): string {
  if (share > 0 && share < 0.001) return '<0.1 %';
  const percent = share < 1 ? Math.min(share * 100, 99.9) : 100;
  return `${Number(percent.toFixed(1))} %`;
}

/** `5.0 s`, `300 s` */
export function formatSeconds(seconds: number): string {
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${formatCount(seconds)} s`;
}

/** `2026-11-21 23:00:00 UTC`; anything that is no ISO time stays as it is. */
export function formatTime(iso: string): string {
  return iso.replace(/^([\d-]+)T([\d:]+)(?:\.\d+)?Z$/, '$1 $2 UTC');
}

/** A raw value: counters get their thousands separators, anything else stays as the machine wrote it. */
export function formatRaw(value: string): string {
  return /^\d{4,20}$/.test(value) ? separated(BigInt(value).toString()) : value;
}

/** Evidence: the count that it begins with, also of `12 of 345 packets`, gets separators. Other numbers may be ports. */
export function formatCountsIn(sentence: string): string {
  return sentence.replace(/(?<=^(?:about )?|^(?:about )?\d+ of )\d{4,15}(?= )/g, formatRaw);
}

/** Packets lost in the window: harmless drops are no loss. */
export function lostPackets(totals: Report['totals']): number {
  return totals.explained + totals.unexplained;
}

/** `web, db and 8 more`; null is the machine itself. */
export function listNamespaces(names: readonly (string | null)[]): string {
  const shown = names.slice(0, NAMED_NAMESPACES).map((name) => name ?? 'the host itself');
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${formatCount(more)} more` : shown.join(', ');
}

const NAMED_NAMESPACES = 3;

/** `namespace b, interface vb`; an empty string for the whole host. */
export function describeScope(scope: Scope): string {
  const parts = [
    scope.netns !== undefined && `namespace ${scope.netns}`,
    scope.interface !== undefined && `interface ${scope.interface}`,
    scope.cpu !== undefined && `CPU ${scope.cpu}`,
    scope.process !== undefined && `process ${scope.process.name} (pid ${scope.process.pid})`,
    scope.socket !== undefined && `socket ${scope.socket}`,
    scope.rule !== undefined && `rule ${scope.rule}`,
    scope.flow !== undefined && `flow ${scope.flow}`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

/** `NO_SOCKET @ ip_local_deliver, IPv4`, and where known: `on eth0, mostly UDP 10.0.0.1:9 → 10.0.0.2:53` */
export function describeDrops(drops: Omit<ReportDrops, 'packets'>): string {
  const { reason, location, protocol, flows = [] } = drops;
  const where = reason === null ? location : `${reason} @ ${location}`;
  const by = drops.interface === undefined ? '' : ` on ${drops.interface}`;
  const netns = drops.netns === undefined ? '' : `, namespace ${drops.netns}`;
  const [busiest] = flows;
  const whose =
    busiest === undefined ? '' : `, ${flows.length > 1 ? 'most often ' : ''}${busiest.flow}`;
  return `${where}, ${etherTypeName(protocol)}${by}${netns}${whose}`;
}

/** What such drops are, in a phrase: by their reason, or else by the function. Undefined: not known. */
export function meaningOfDrops({
  reason,
  location,
  protocol,
}: Omit<ReportDrops, 'packets'>): string | undefined {
  const specified = reason === null || reason === 'NOT_SPECIFIED' ? undefined : findReason(reason);
  return (specified ?? findLocation(location, protocol))?.title;
}
