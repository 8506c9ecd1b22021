import { conntrackStat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { nft, setHostWide } from '../network.ts';
import { serve, steady } from '../traffic.ts';

export default [
  {
    name: 'conntrack table full',
    cause: 'nf-conntrack-full',
    confidence: 'certain',
    alone: 'the size of the table is host-wide',
    async setUp(pair) {
      await nft(
        pair.b,
        'table inet t { chain i { type filter hook input priority 0; ct state new counter accept; }; }',
      );
      await setHostWide(pair.cleanUp, '/proc/sys/net/netfilter/nf_conntrack_max', '20');
      await serve(pair, 'reads');
    },
    traffic: (pair) => steady(pair, { flows: 200 }),
    lost: ({ b }) => conntrackStat(b, 'drop'),
    cure: { fix: 'nf-conntrack-full', capture: 'tracefs' },
  },
] satisfies readonly Fault[];
