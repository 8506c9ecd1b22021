import { dropped, sampled, settings } from '../evidence.ts';
import { traffic, type Example, type HostEvidence } from '../example.ts';

interface Table {
  readonly entries?: number;
  readonly fulls?: number;
  readonly silent?: number;
}

function neighbours({ entries = 10, fulls = 0, silent = 0 }: Table): HostEvidence['neighbours'] {
  const at = (fulls: number) => ({
    entries: new Map([['arp_cache' as const, entries]]),
    counters: new Map([['arp_cache.table_fulls', BigInt(100 + fulls)]]),
    silent: {
      count: silent,
      named: silent === 0 ? [] : [{ address: '10.0.0.2', device: 'eth0', gateway: false }],
    },
  });
  return sampled(at(0), at(fulls));
}

const limit = settings({ 'net.ipv4.neigh.default.gc_thresh3': 1000 });

export default [
  {
    rule: 'neigh-unresolved',
    evidence: (packets) => ({
      drops: dropped('NEIGH_FAILED', 'arp_error_report', packets),
      neighbours: neighbours({ silent: 1 }),
    }),
    causeFrom: 26,
  },
  {
    rule: 'neigh-table-overflow',
    evidence: (packets) => ({
      snmp: traffic({ 'Ip.OutDiscards': packets }),
      drops: dropped('NEIGH_CREATEFAIL', 'ip_finish_output2', packets),
      neighbours: neighbours({ fulls: packets }),
      sysctl: limit,
    }),
    causeFrom: 1,
  },
  {
    rule: 'neigh-table-overflow',
    evidence: (entries) => ({ neighbours: neighbours({ entries }), sysctl: limit }),
    causeFrom: 900,
    clear: 990,
  },
  {
    rule: 'arp-conflict-or-flux',
    evidence: (interfaces) => {
      const shared = {
        network: '10.0.0.0/24',
        interfaces: new Map(
          Array.from({ length: interfaces }, (_, index) => [
            `eth${index}`,
            { arp_ignore: 0, arp_announce: 0, arp_filter: 0 },
          ]),
        ),
      };
      return { subnets: sampled({ shared: [shared] }, { shared: [shared] }) };
    },
    causeFrom: 2,
    clear: 3,
  },
] satisfies readonly Example[];
