import { defineCheck } from '../src/model/check.ts';
import { ok } from '../src/model/reading.ts';

/** What the kernel said of networking within the window: nothing in the first reading. */
export interface KernelLog {
  readonly messages: readonly KernelMessage[];
}

export interface KernelMessage {
  readonly about: Subject;
  /** As the kernel wrote it; untrusted. */
  readonly text: string;
  /** Where the message names one. */
  readonly interface?: string;
}

export type Subject =
  | 'conntrack-full'
  | 'neighbour-overflow'
  | 'syn-flood'
  | 'tcp-memory'
  | 'orphaned-sockets'
  | 'martian'
  | 'transmit-timeout'
  | 'hardware-checksum'
  | 'own-address'
  | 'dead-loop'
  | 'page-allocation'
  | 'link-down'
  | 'duplicate-address'
  | 'bond';

/** What tells stands at the begin; a dump of something may follow. */
const MAX_TEXT = 200;

/**
 * Spellings of old kernels and of drivers included; the group is the interface. Most are limited in rate
 * (net_ratelimit), so they say that something happened and not how often.
 */
const PATTERNS: readonly (readonly [Subject, RegExp])[] = [
  ['conntrack-full', /nf_conntrack: table full/],
  ['neighbour-overflow', /neighbou?r table overflow/i],
  ['syn-flood', /possible SYN flooding on port/i],
  ['tcp-memory', /TCP: out of memory/],
  ['orphaned-sockets', /too many (?:of )?orphaned sockets/],
  ['martian', /martian (?:source|destination) .* dev (\S+)/],
  ['transmit-timeout', /NETDEV WATCHDOG: (?:CPU: \d+: )?(\S+) \(.*transmit queue \d+ timed out/],
  ['transmit-timeout', / (\S+): NETDEV WATCHDOG: .*transmit queue \d+ timed out/],
  ['hardware-checksum', /(\S+): hw csum failure/],
  ['own-address', /received packet on (\S+) with own address as source address/],
  ['dead-loop', /Dead loop on virtual device ([^\s,]+)/],
  ['page-allocation', /page allocation failure/],
  ['link-down', /(\S+?):? NIC link is down/i],
  ['link-down', /(\S+): link is down/i],
  ['link-down', /(\S+): (?:link down|lost carrier)/i],
  ['duplicate-address', /IPv6: (\S+): IPv6 duplicate address/],
  ['bond', /bond\S*: .*(?:link status definitely down|an illegal loopback|No 802\.3ad response)/],
];

export default defineCheck<KernelLog>({
  id: 'kernel-log',
  title: 'Messages of the kernel',
  sources: ['/dev/kmsg'],
  hostWide: true,
  async read(host) {
    const lines = await host.kernelLog();
    return lines.status === 'ok' ? ok({ messages: lines.value.flatMap(parseMessage) }) : lines;
  },
});

/** Nothing for messages that are not about packets. */
export function parseMessage(line: string): readonly KernelMessage[] {
  const text = line.slice(0, MAX_TEXT);
  for (const [about, pattern] of PATTERNS) {
    const found = pattern.exec(text);
    if (found === null) continue;
    const [, iface] = found;
    return [{ about, text, ...(iface !== undefined && { interface: iface }) }];
  }
  return [];
}
