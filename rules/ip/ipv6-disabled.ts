import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import { rise } from '../../src/model/counter.ts';
import { EtherType } from '../../src/model/drops.ts';
import { defineRule } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';

export default defineRule({
  id: 'ipv6-disabled',
  title: 'IPv6 packets arrive where IPv6 is switched off',
  needs: { snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: '`Ip6 InDiscards` rises on a host that does not use IPv6.',
    kernel:
      '`ip6_rcv_core` (net/ipv6/ip6_input.c) drops what comes in on an interface with `disable_ipv6` set: `IPV6DISABLED`. An interface that has no IPv6 at all (it is just coming up or going away, or its MTU is below 1,280) gives no reason.',
    confirm: '`sysctl -a | grep disable_ipv6`; `nstat -az Ip6InDiscards`.',
    fix: 'If IPv6 should work: `sysctl -w net.ipv6.conf.INTERFACE.disable_ipv6=0`.',
    normal:
      'Wherever IPv6 was switched off on purpose: neighbours keep sending router advertisements and multicast.',
    references: ['net/ipv6/ip6_input.c ip6_rcv_core (Linux 6.18)'],
  },
  judge({ snmp: { first, last } }) {
    const discards = rise(
      first.counters.get('Ip6.InDiscards'),
      last.counters.get('Ip6.InDiscards'),
    );
    return [
      {
        kind: 'benign',
        text: 'IPv6 packets for interfaces on which IPv6 is switched off, or that are just coming up or going away.',
        claims: [
          { reason: 'IPV6DISABLED' },
          { reason: 'NOT_SPECIFIED', location: 'ip6_rcv_core', protocol: EtherType.IPv6 },
          // Without reasons, frames for other hosts and broken headers end there as well.
          withoutReasons({ location: ['ip6_rcv_core', 'ipv6_rcv'], packets: discards }),
        ],
      },
    ];
  },
});
