import type { Snmp } from '../checks/snmp.ts';
import type { Sampled } from '../src/model/check.ts';
import { rise } from '../src/model/counter.ts';
import { packetsOf, type DropCapture, type DropCount } from '../src/model/drops.ts';
import type { JudgeWindow, Observation, Severity } from '../src/model/rule.ts';

/** How far these counters of the check snmp rose together. */
export function rises({ first, last }: Sampled<Snmp>, names: readonly string[]): number {
  return names.reduce(
    (sum, name) => sum + rise(first.counters.get(name), last.counters.get(name)),
    0,
  );
}

/** Those of the counters that rose, each with what it counts. */
export function observedRises(
  snmp: Sampled<Snmp>,
  names: readonly string[],
  what: string,
): readonly Observation[] {
  return names.flatMap((name) => {
    const packets = rises(snmp, [name]);
    if (packets === 0) return [];
    return {
      source: sourceOf(name),
      text: `${packets} ${what}`,
      first: String(snmp.first.counters.get(name)),
      last: String(snmp.last.counters.get(name)),
    };
  });
}

/** Where a counter of the check snmp is found by hand. */
function sourceOf(name: string): string {
  const [group = '', column = ''] = name.split('.');
  if (group.endsWith('6')) return `/proc/net/snmp6 ${group}${column}`;
  return `/proc/net/${group.endsWith('Ext') ? 'netstat' : 'snmp'} ${group} ${column}`;
}

/** Captured drops of some kind. */
export function dropsWhere(
  capture: DropCapture | undefined,
  matches: (drop: DropCount) => boolean,
): { readonly drops: readonly DropCount[]; readonly packets: number } {
  const drops = (capture?.drops ?? []).filter((drop) => matches(drop));
  return { drops, packets: packetsOf(drops) };
}

/**
 * So many of the captured drops can have been of this namespace: where the capture sees the whole machine,
 * no more than a counter of this namespace says.
 */
export function ownEvents(
  events: number,
  counted: number,
  { severalNetns }: Pick<JudgeWindow, 'severalNetns'>,
): number {
  return severalNetns ? Math.min(events, counted) : events;
}

/**
 * Any host on the Internet is probed less often than this; a policy that refuses that is doing its job. netdata takes
 * the same pace for the limit of what is normal in queues and UDP buffers (softnet.conf, udp_errors.conf).
 */
const NOISE_PACKETS_PER_SECOND = 10;

/** A policy that refuses is at work as somebody decided: never critical, and at the pace of noise no alarm. */
export function policySeverity(packets: number, { seconds }: JudgeWindow): Severity {
  return packets < NOISE_PACKETS_PER_SECOND * seconds ? 'notice' : 'warning';
}
