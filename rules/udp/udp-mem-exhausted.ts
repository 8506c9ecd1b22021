import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import sockets, { type SocketsValue } from '../../checks/sockets.ts';
import sockstat from '../../checks/sockstat.ts';
import sysctl from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type Observation } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { memoryLimitFixes } from '../memory-limit-fix.ts';
import { dropsWhere, observedRises, ownEvents, rises } from '../protocol-counters.ts';

const ERRORS = ['Udp.MemErrors', 'Udp6.MemErrors'];
const LOCATIONS = [
  '__udp_enqueue_schedule_skb',
  '__udp_queue_rcv_skb',
  '__udpv6_queue_rcv_skb',
  'udp_queue_rcv_one_skb',
  'udpv6_queue_rcv_one_skb',
  'udp_queue_rcv_skb',
  'udpv6_queue_rcv_skb',
];
/** As full as this (netdata's tcp_mem.conf says the same of TCP), memory is short; the kernel takes it in steps of a page for each socket and CPU. */
const FULL_SHARE = 0.9;
/** More sockets than these are not named. */
const NAMED_SOCKETS = 3;
const memKey = 'net.ipv4.udp_mem';

export default defineRule({
  id: 'udp-mem-exhausted',
  title: 'UDP as a whole is out of memory',
  needs: { snmp },
  wants: { drops, sockets, sockstat, sysctl },
  reviewed: '2026-11-22',
  explain: {
    see: 'All UDP services of the machine lose datagrams at once, also those whose own buffers are nearly empty.',
    kernel:
      'The queues of all UDP sockets of the machine together may use `net.ipv4.udp_mem` pages. Beyond the third of its values `__udp_enqueue_schedule_skb` (net/ipv4/udp.c) refuses datagrams with the reason `PROTO_MEM`: `Udp MemErrors` since 5.11 (some 6.18 kernels do not count it), and the drops of the socket. It holds for all network namespaces. A control group can have a limit of its own (`memory.max`), with the same effect.',
    confirm:
      '`grep UDP /proc/net/sockstat` (mem, in pages) against `sysctl net.ipv4.udp_mem`; `nstat -az UdpMemErrors`; `ss -uanm`: who holds it (r, in bytes).',
    fix: 'Find the sockets with full queues, whose programs do not read, and cure or stop those. If somebody set `udp_mem` lower than the kernel would, raise it again.',
    normal: 'Never.',
    references: [
      'net/ipv4/udp.c __udp_enqueue_schedule_skb, udp_init (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, udp_mem',
    ],
  },
  judge({ snmp, drops, sockets, sockstat, sysctl }, window) {
    const counted = rises(snmp, ERRORS);
    const events = dropsWhere(
      drops,
      ({ reason, location }) => reason === 'PROTO_MEM' && LOCATIONS.includes(location),
    ).packets;
    const otherwise = rises(
      snmp,
      ['Udp', 'Udp6'].flatMap((udp) => [`${udp}.RcvbufErrors`, `${udp}.InCsumErrors`]),
    );
    const ofSockets = Math.max(counted, lostBySockets(sockets) - otherwise);
    const packets = Math.max(counted, ownEvents(events, ofSockets, window));
    if (packets === 0) return [];
    const looks = (sockstat?.samples ?? []).flatMap(({ udpPages }) => udpPages ?? []);
    const peak = looks.length === 0 ? undefined : Math.max(...looks);
    const limits = sysctl?.last.numbers(memKey);
    const limit = limits?.[2];
    const isFull = peak !== undefined && limit !== undefined && peak >= limit * FULL_SHARE;
    const received = rises(
      snmp,
      ['Udp', 'Udp6'].flatMap((udp) => [`${udp}.InDatagrams`, `${udp}.InErrors`]),
    );
    return [
      {
        kind: 'cause',
        confidence: isFull ? 'certain' : 'likely',
        packets,
        traffic: { packets: Math.max(received, packets), what: 'UDP datagrams for local sockets' },
        scope: {},
        because: [
          ...observedRises(snmp, ERRORS, 'datagrams refused for want of memory'),
          ...(events > 0
            ? [
                {
                  source: 'skb:kfree_skb',
                  text: `${events} drops with the reason PROTO_MEM in UDP`,
                },
              ]
            : []),
          ...(peak === undefined || limit === undefined
            ? []
            : [
                {
                  source: `/proc/net/sockstat UDP mem, ${memKey}`,
                  text: `up to ${peak} of ${limit} pages in use`,
                },
              ]),
          ...holders(sockets),
        ],
        means: isFull
          ? 'The queues of all UDP sockets of the machine together are full, so every UDP service loses datagrams. Programs that do not read hold the memory.'
          : 'UDP was refused memory, though the limit of the machine was not reached when we looked: a short peak, or a control group has reached its own limit of memory.',
        rulesOut: [
          {
            id: 'udp-rcvbuf-full',
            because: `full receive buffers are counted apart: RcvbufErrors +${rises(snmp, ['Udp.RcvbufErrors', 'Udp6.RcvbufErrors'])}`,
          },
        ],
        fixes: memoryLimitFixes({
          protocol: 'udp',
          now: limits,
          ram: sockstat?.last.ram,
          expect:
            counted === 0
              ? undefined
              : {
                  counter: 'snmp Udp.MemErrors',
                  change: 'stops-rising',
                  traffic: 'snmp Udp.InDatagrams',
                },
        }),
        claims: [
          { reason: 'PROTO_MEM', location: LOCATIONS, packets },
          withoutReasons({ location: LOCATIONS, packets: counted }),
        ],
      },
    ];
  },
});

function lostBySockets(sockets: Sampled<SocketsValue> | undefined): number {
  let lost = 0;
  for (const [key, { drops }] of sockets?.last.udp ?? []) {
    lost += rise(sockets?.first.udp.get(key)?.drops ?? 0n, drops);
  }
  return lost;
}

function holders(sockets: Sampled<SocketsValue> | undefined): readonly Observation[] {
  return [...(sockets?.last.udp.values() ?? [])]
    .filter(({ queueBytes }) => queueBytes > 0)
    .sort((a, b) => b.queueBytes - a.queueBytes)
    .slice(0, NAMED_SOCKETS)
    .map(({ protocol, local, queueBytes, process }) => ({
      source: `/proc/net/${protocol} ${local} rx_queue`,
      text: `${process === undefined ? 'it' : `${process.name} (pid ${process.pid})`} leaves ${queueBytes} bytes unread`,
    }));
}
