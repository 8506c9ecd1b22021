import portUse from '../../checks/port-use.ts';
import sysctl from '../../checks/sysctl.ts';
import type { FixStep } from '../../src/model/fix.ts';
import { defineRule } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';

/** connect() begins at a random port and tries one after the other (__inet_hash_connect): the last tenth takes long to find. */
const SHORT_SHARE = 0.9;
const rangeKey = 'net.ipv4.ip_local_port_range';
const reuseKey = 'net.ipv4.tcp_tw_reuse';
/** What Linux leaves to services is below; up to the last port there is. */
const WIDEST = { from: 10_240, to: 65_535 } as const;

export default defineRule({
  id: 'port-exhaustion',
  title: 'No free ports for connections to one peer',
  needs: { portUse },
  wants: { sysctl },
  reviewed: '2026-11-22',
  explain: {
    see: 'A proxy or another program that opens many connections logs "Cannot assign requested address" (EADDRNOTAVAIL). It looks like loss, but nothing is dropped.',
    kernel:
      'Each connection from one address to one port of one peer needs a local port of its own, out of `net.ipv4.ip_local_port_range`. One that this side closed first keeps its port for a minute more (TIME_WAIT). When all are taken, `__inet_hash_connect` (net/ipv4/inet_hashtables.c) fails with EADDRNOTAVAIL; no counter tells (Linux 6.18).',
    confirm:
      "`ss -Htan | awk '{print $5}' | sort | uniq -c | sort -n | tail` counts the connections to each peer; `sysctl net.ipv4.ip_local_port_range`.",
    fix: 'Keep connections open and use them again (keep-alive, a pool). A wider range helps at once; `net.ipv4.tcp_tw_reuse=1` lets new connections take ports from TIME_WAIT where time stamps make that safe. More addresses on either side multiply the ports.',
    normal:
      'TIME_WAIT by the thousand on a server whose clients come from many addresses: each has its own ports.',
    references: [
      'net/ipv4/inet_hashtables.c __inet_hash_connect (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, ip_local_port_range, tcp_tw_reuse',
    ],
  },
  judge({ portUse: { last }, sysctl }) {
    const { ports, busiest } = last;
    if (busiest === undefined || busiest.used < ports * SHORT_SHARE) return [];
    const range = sysctl?.last.numbers(rangeKey);
    const reuse = sysctl?.last.number(reuseKey);
    const [from = 0, to = 0] = range ?? [];
    const steps: readonly FixStep[] = [
      ...(range !== undefined && (from > WIDEST.from || to < WIDEST.to)
        ? [
            sysctlStep(
              rangeKey,
              range.join(' '),
              `${Math.min(from, WIDEST.from)} ${Math.max(to, WIDEST.to)}`,
            ),
          ]
        : []),
      ...(reuse !== undefined && reuse !== 1 ? [sysctlStep(reuseKey, reuse, 1)] : []),
    ];
    return [
      {
        kind: 'cause',
        confidence: 'likely',
        // Connections cannot be opened; no packet is lost.
        packets: 0,
        severityAtMost: 'notice',
        scope: { flow: `from ${busiest.from} to ${busiest.to}` },
        because: [
          {
            source: `ss -tan, ${rangeKey}`,
            text: `${busiest.used} of ${ports} ports are in use for connections from ${busiest.from} to ${busiest.to}`,
          },
        ],
        means: `Connections to ${busiest.to} take nearly all ports there are, so that programs soon cannot open another one. No packets are lost by that.`,
        rulesOut: [],
        fixes: [
          ...(steps.length === 0
            ? []
            : [
                {
                  id: 'more-ports',
                  title: 'Have more ports for outgoing connections',
                  risk: 'caution',
                  cost: 'Services that listen on a port of the wider range may find it taken when they start: reserve it in net.ipv4.ip_local_reserved_ports.',
                  steps,
                  takesEffect: 'at-once',
                } as const,
              ]),
          {
            id: 'keep-connections',
            title: 'Use connections for more than one request',
            risk: 'none',
            cost: 'None.',
            steps: [
              {
                kind: 'manual',
                text: `Let the program keep its connections to ${busiest.to} open (keep-alive, a connection pool).`,
              },
            ],
            takesEffect: 'at-once',
          },
        ],
        claims: [],
      },
    ];
  },
});
