import { defineCheck } from '../src/model/check.ts';
import { ok, unread } from '../src/model/reading.ts';

/** Protocol counters of one network namespace. */
export interface Snmp {
  /**
   * `/proc/net/snmp` and `/proc/net/netstat`: `<line>.<column>`: `Udp.RcvbufErrors`,
   * `TcpExt.IPReversePathFilter`, `IpExt.InNoRoutes`.
   * `/proc/net/snmp6`: the protocol ends with its 6: Ip6InDiscards is `Ip6.InDiscards`,
   * UdpLite6InErrors is `UdpLite6.InErrors`.
   * A name that is missing: this kernel does not count it.
   */
  readonly counters: ReadonlyMap<string, bigint>;
}

/** Settings and levels among the counters (RFC 1213); they would look like counters that ran backwards. */
const notCounters = new Set([
  'Ip.Forwarding',
  'Ip.DefaultTTL',
  'Tcp.RtoAlgorithm',
  'Tcp.RtoMin',
  'Tcp.RtoMax',
  'Tcp.MaxConn',
  'Tcp.CurrEstab',
]);

const pairFiles = ['/proc/net/snmp', '/proc/net/netstat'] as const;
const snmp6File = '/proc/net/snmp6';

export default defineCheck<Snmp>({
  id: 'snmp',
  title: 'Protocol counters (IP, TCP, UDP, ICMP)',
  sources: [...pairFiles, snmp6File],
  core: true,
  async read(host) {
    const [snmp, netstat, snmp6] = await Promise.all([
      host.readFile(pairFiles[0]),
      host.readFile(pairFiles[1]),
      host.readFile(snmp6File),
    ]);
    if (snmp.status !== 'ok') return snmp;
    const counters = new Map<string, bigint>();
    const notes = parsePairs(snmp.value, pairFiles[0], counters);
    if (counters.size === 0) {
      return unread('malformed', `${pairFiles[0]} has no line that can be read.`);
    }
    if (netstat.status === 'ok') notes.push(...parsePairs(netstat.value, pairFiles[1], counters));
    else notes.push(`${pairFiles[1]}: ${netstat.reason}`);
    if (snmp6.status === 'ok') notes.push(...parseSnmp6(snmp6.value, counters));
    else if (snmp6.status === 'absent') notes.push('No IPv6 counters: IPv6 is switched off here.');
    else notes.push(`${snmp6File}: ${snmp6.reason}`);
    return ok({ counters }, notes);
  },
  counters: ({ counters }) => counters,
});

/**
 * Pairs of lines, `Udp: InDatagrams NoPorts` and `Udp: 10 0` (snmp_seq_show, netstat_seq_show).
 * Adds what can be read to `counters`; returns a note for each line that cannot.
 */
export function parsePairs(text: string, path: string, counters: Map<string, bigint>): string[] {
  const notes: string[] = [];
  let header: { readonly prefix: string; readonly names: readonly string[] } | undefined;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [prefix = '', ...words] = line.trim().split(/\s+/);
    if (header === undefined) {
      header = { prefix, names: words };
      continue;
    }
    const { prefix: expected, names } = header;
    if (prefix !== expected || !/^\w+:$/.test(prefix) || words.length !== names.length) {
      notes.push(`${path}: the lines of ${printable(expected)} do not match.`);
      // A lost line must not shift all that follow: this one may be the next header.
      header = prefix === expected ? undefined : { prefix, names: words };
      continue;
    }
    for (const [index, name] of names.entries()) {
      setCounter(counters, `${prefix.slice(0, -1)}.${name}`, words[index]);
    }
    header = undefined;
  }
  if (header !== undefined) notes.push(`${path}: ends within ${printable(header.prefix)}`);
  return notes;
}

/** `Ip6InReceives   	12` (snmp6_seq_show). As parsePairs. */
export function parseSnmp6(text: string, counters: Map<string, bigint>): string[] {
  let garbled = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const match = /^([A-Za-z]+6)(\w+)\s+(\d+)\s*$/.exec(line);
    if (match === null) garbled++;
    else setCounter(counters, `${match[1]}.${match[2]}`, match[3]);
  }
  return garbled === 0 ? [] : [`${snmp6File}: lines that cannot be read: ${garbled}.`];
}

/** Negative values (Tcp.MaxConn is -1 for "no limit") are no counters. */
function setCounter(counters: Map<string, bigint>, name: string, value: string | undefined): void {
  if (value === undefined || !/^\d{1,20}$/.test(value) || notCounters.has(name)) return;
  counters.set(name, BigInt(value));
}

function printable(text: string): string {
  return text.replaceAll(/[^\w:.-]/g, '?').slice(0, 20);
}
