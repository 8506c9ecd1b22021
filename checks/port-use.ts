import { defineCheck } from '../src/model/check.ts';
import { ok, unread } from '../src/model/reading.ts';
import { SS_TIMEOUT_MS } from './sockets/details.ts';
import { parseSockstat } from './sockstat.ts';

/** How many of the ports for outgoing connections are in use. */
export interface PortUse {
  /** How many ports there are to choose from (ip_local_port_range). */
  readonly ports: number;
  /** The most used pair of ends. Absent: there are too few connections for any to be short of ports. */
  readonly busiest?: BusiestPeer;
}

export interface BusiestPeer {
  /** Address on this side, and address and port of the peer: a port can be used once for each such pair. */
  readonly from: string;
  readonly to: string;
  readonly used: number;
}

const rangeFile = '/proc/sys/net/ipv4/ip_local_port_range';
const sockstatFile = '/proc/net/sockstat';
/** With fewer connections than this part of the range, nobody can be short of ports. */
const CROWDED_SHARE = 0.7;
/** More than any range has ports, for a host with several addresses; beyond, the list is too long for a look. */
const CONNECTIONS_MAX = 200_000;

export default defineCheck<PortUse>({
  id: 'port-use',
  title: 'Ports for outgoing connections',
  sources: [rangeFile, sockstatFile, 'ss -Htan'],
  timeoutMs: SS_TIMEOUT_MS + 1000,
  async read(host, { phase }) {
    const [range, sockstat] = await host.readFiles([rangeFile, sockstatFile]);
    if (range?.status !== 'ok') return range ?? unread('absent', `${rangeFile} was not read.`);
    const [from, to] = range.value.trim().split(/\s+/).map(Number);
    if (from === undefined || to === undefined || !(from <= to)) {
      return unread('malformed', `${rangeFile} does not hold two numbers.`);
    }
    const ports = to - from + 1;
    const text = sockstat?.status === 'ok' ? sockstat.value : '';
    const { tcpTimeWait = 0, tcpInUse = 0 } = parseSockstat(text);
    const connections = tcpTimeWait + tcpInUse;
    if (phase !== 'last' || connections < ports * CROWDED_SHARE) return ok({ ports });
    if (connections > CONNECTIONS_MAX) {
      return ok({ ports }, [`${connections} TCP connections are too many to list.`]);
    }
    const output = await host.run(['ss', '-Htan'], { timeoutMs: SS_TIMEOUT_MS });
    if (output.status !== 'ok') return ok({ ports }, [output.reason]);
    const busiest = busiestPeer(output.value.stdout, from, to);
    return ok({ ports, ...(busiest === undefined ? {} : { busiest }) });
  },
});

/** `TIME-WAIT 0 0 10.0.0.1:40001 10.0.0.2:80` */
const CONNECTION = /^(?!LISTEN)\S+ +\d+ +\d+ +(\S+):(\d{1,5}) +(\S+:\d{1,5})(?= |$)/gm;

/** Output of `ss -Htan`. Undefined: no connection with a port of the range. */
export function busiestPeer(text: string, from: number, to: number): BusiestPeer | undefined {
  const pairs = new Map<string, { from: string; to: string; ports: Set<string> }>();
  for (const [, host = '', port = '', peer = ''] of text.matchAll(CONNECTION)) {
    if (Number(port) < from || Number(port) > to) continue;
    const key = `${host} ${peer}`;
    const pair = pairs.get(key) ?? { from: host, to: peer, ports: new Set() };
    pair.ports.add(port);
    pairs.set(key, pair);
  }
  const [busiest] = [...pairs.values()].sort((a, b) => b.ports.size - a.ports.size);
  return busiest && { from: busiest.from, to: busiest.to, used: busiest.ports.size };
}
