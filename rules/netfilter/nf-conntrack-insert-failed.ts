import conntrack from '../../checks/conntrack.ts';
import drops from '../../checks/drops.ts';
import firewall, { type FirewallRule } from '../../checks/firewall.ts';
import { defineRule } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { conntrackRise } from './conntrack-rise.ts';

export default defineRule({
  id: 'nf-conntrack-insert-failed',
  title: 'New connections collide in connection tracking, or NAT has no port left for them',
  needs: { conntrack },
  wants: { drops, firewall },
  reviewed: '2026-11-22',
  explain: {
    see: 'DNS answers that take exactly 5 seconds, and sporadic failures to connect behind source NAT, while the table is far from full.',
    kernel:
      'A new connection enters the table when its first packet leaves the host (`__nf_conntrack_confirm`, net/netfilter/nf_conntrack_core.c). When another packet took the same addresses and ports meanwhile, or source NAT found no free port (`nf_nat_l4proto_unique_tuple`), the packet is dropped at `nf_hook_slow` and `insert_failed` and `drop` of `conntrack -S` rise together. `chaintoolong` is a hash chain that grew too long; `clash_resolve` a collision that was solved without loss.',
    confirm:
      "`conntrack -S` (insert_failed, drop, chaintoolong); `conntrack -L | grep 'dport=PORT' | wc -l` per destination shows how near 64,000 source ports are.",
    fix: 'NAT: more source addresses, a wider port range, `masquerade random,fully-random`, connections that are reused. DNS through a service address: a cache on the node, `options single-request-reopen` in resolv.conf. `chaintoolong`: more `nf_conntrack_buckets`.',
    normal: 'One now and then under heavy UDP.',
    references: ['net/netfilter/nf_conntrack_core.c __nf_conntrack_confirm (Linux 6.18)'],
  },
  judge({ conntrack, firewall }) {
    const failed = conntrackRise(conntrack, 'insert_failed');
    const tooLong = conntrackRise(conntrack, 'chaintoolong');
    const dropped = conntrackRise(conntrack, 'drop');
    // Some kernels count a chain that is too long as a failure to insert as well.
    const packets = Math.max(failed, tooLong);
    if (packets === 0) return [];
    const nat = (firewall?.last.rules ?? []).filter(isSourceNat);
    return [
      {
        kind: 'cause',
        confidence: dropped >= packets || tooLong >= packets ? 'certain' : 'likely',
        packets,
        scope: {},
        because: [
          {
            source: 'conntrack -S insert_failed',
            text: `${failed} new connections could not enter the table (drop rose by ${dropped})`,
            first: String(conntrack.first.counters.get('insert_failed') ?? 0n),
            last: String(conntrack.last.counters.get('insert_failed') ?? 0n),
          },
          ...(tooLong > 0
            ? [
                {
                  source: 'conntrack -S chaintoolong',
                  text: `${tooLong} found the chain of their hash bucket too long`,
                },
              ]
            : []),
          ...(nat[0] === undefined
            ? []
            : [
                {
                  source: 'nft list ruleset, iptables-save',
                  text: `source NAT is at work: ${nat[0].text}`,
                },
              ]),
        ],
        means: meaning(tooLong > failed, nat.length > 0),
        rulesOut: [
          {
            id: 'nf-conntrack-full',
            because: 'a full table raises drop, but not insert_failed',
          },
        ],
        fixes: [
          {
            id: tooLong > failed ? 'more-buckets' : 'more-ports',
            title:
              tooLong > failed
                ? 'Give the table more buckets, and look who fills it'
                : 'Give NAT more addresses or ports, or make fewer new connections',
            risk: 'disruptive',
            cost: 'a change of firewall rules, or of the programs that connect',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text:
                  tooLong > failed
                    ? 'sysctl -w net.netfilter.nf_conntrack_buckets=N with N near nf_conntrack_max; if single sources hold most entries (conntrack -L), they may do so on purpose.'
                    : 'Find the busiest destination (conntrack -L -p tcp), then add source addresses to the SNAT rule, widen its port range, or let the clients reuse connections.',
              },
            ],
          },
        ],
        claims: [
          { reason: 'NETFILTER_DROP', location: 'nf_hook_slow', packets },
          withoutReasons({ location: ['nf_hook_slow'], packets }),
        ],
      },
    ];
  },
});

function isSourceNat({ text }: FirewallRule): boolean {
  return /\b(?:snat|masquerade|SNAT|MASQUERADE)\b/.test(text);
}

function meaning(chains: boolean, nat: boolean): string {
  if (chains)
    return 'Too many connections fall into the same hash bucket, so new ones are refused.';
  return nat
    ? 'Source NAT found no free port for some new connections, or two of them wanted the same one at once.'
    : 'Two packets of the same new connection were on their way at once, and the second was dropped.';
}
