import { counterKey, counterTitle, type Counter } from './counter.ts';
import { deviceCounters } from './counters/device.ts';
import { ipCounters } from './counters/ip.ts';
import { netfilterCounters } from './counters/netfilter.ts';
import { socketCounters } from './counters/sockets.ts';
import { tcpCounters } from './counters/tcp.ts';
import { udpCounters } from './counters/udp.ts';
import { xfrmCounters } from './counters/xfrm.ts';

/** Counters that tell of loss, or are taken for it. Those of drivers (ethtool -S) are in checks/nic-drivers.ts. */
export const counters: readonly Counter[] = [
  ...deviceCounters,
  ...netfilterCounters,
  ...ipCounters,
  ...xfrmCounters,
  ...tcpCounters,
  ...udpCounters,
  ...socketCounters,
];

const byKey = new Map(counters.map((counter) => [counterKey(counter), counter]));

/** By key: `TcpExt.ListenOverflows`. */
export function counterOf(key: string): Counter | undefined {
  return byKey.get(key);
}

/**
 * All that a name may stand for: `TcpExtListenOverflows`, `TcpExt ListenOverflows`, `ListenOverflows`,
 * `/proc/net/netstat TcpExt ListenOverflows`, in any case. `InErrors` stands for several.
 */
export function findCounters(name: string): readonly Counter[] {
  const wanted = normal(name.replace(/^\/\S+ /, ''));
  return counters.filter((counter) =>
    [counterTitle(counter), counter.name, ...(counter.aliases ?? [])].some(
      (known) => normal(known) === wanted,
    ),
  );
}

function normal(name: string): string {
  return name.toLowerCase().replaceAll(/[\s._-]/g, '');
}
