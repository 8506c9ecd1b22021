import snmp from '../../checks/snmp.ts';
import sysctl from '../../checks/sysctl.ts';
import { defineRule } from '../../src/model/rule.ts';
import { areStray } from './evidence.ts';
import { observedRises, rises } from '../protocol-counters.ts';

const GLOBAL = 'Icmp.OutRateLimitGlobal';
const RATE_KEY = 'net.ipv4.icmp_msgs_per_sec';

export default defineRule({
  id: 'icmp-ratelimit',
  title: 'The kernel holds back ICMP answers',
  needs: { snmp },
  wants: { sysctl },
  consequenceOf: [
    'ip-ttl-exceeded',
    'no-route-in',
    'neigh-unresolved',
    'no-socket-udp',
    'nf-rule-drop',
    'ip-unknown-proto',
  ],
  reviewed: '2026-11-22',
  explain: {
    see: 'traceroute shows stars for this host, and some senders wait for a timeout instead of hearing "unreachable" at once. `Icmp OutRateLimitGlobal` or `OutRateLimitHost` rises.',
    kernel:
      'To each peer the kernel sends an ICMP error about once a second (`icmp_ratelimit`), and `icmp_msgs_per_sec` to all together (`icmp_global_allow`, net/ipv4/icmp.c). "Fragmentation needed" and "packet too big" are not limited (`icmpv4_mask_allow`, `icmpv6_mask_allow`), so path MTU discovery does not suffer.',
    confirm:
      '`nstat -az IcmpOutRateLimitGlobal IcmpOutRateLimitHost`; `sysctl net.ipv4.icmp_ratelimit net.ipv4.icmp_msgs_per_sec`.',
    fix: 'Look at what needs so many answers: a scan, a loop, a missing route. Only for a router that many trace through: `sysctl -w net.ipv4.icmp_msgs_per_sec=…`.',
    normal: 'Always while somebody scans: no data packet is lost by it.',
    references: ['net/ipv4/icmp.c icmp_global_allow, icmpv4_xrlim_allow (Linux 6.18)'],
  },
  judge({ snmp, sysctl }, window) {
    const held = rises(snmp, [GLOBAL]);
    if (areStray(held, window)) return [];
    const limit = sysctl?.last.text(RATE_KEY);
    return [
      {
        kind: 'cause',
        confidence: 'certain',
        // Answers, not packets of anybody.
        packets: 0,
        severityAtMost: 'notice',
        scope: {},
        because: [
          ...observedRises(snmp, [GLOBAL], 'ICMP answers held back, as there were too many'),
          ...(limit === undefined
            ? []
            : [{ source: RATE_KEY, text: `at most ${limit} a second`, last: limit }]),
        ],
        means:
          'So many packets need an ICMP error as answer that the kernel holds some back. Senders then wait instead of hearing at once; no data is lost by it, and path MTU messages are never held back.',
        rulesOut: [],
        fixes: [],
        claims: [],
      },
    ];
  },
});
