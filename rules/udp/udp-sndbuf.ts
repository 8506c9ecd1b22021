import drops from '../../checks/drops.ts';
import qdisc, { type Qdiscs } from '../../checks/qdisc.ts';
import snmp from '../../checks/snmp.ts';
import sysctl from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule } from '../../src/model/rule.ts';
import { dropsWhere, observedRises, rises } from '../protocol-counters.ts';

const ERRORS = ['Udp.SndbufErrors', 'Udp6.SndbufErrors'];
/** Drops after the send buffer that udp_send_skb() counts the same (ENOBUFS). */
const ON_THE_WAY_OUT =
  /^(?:QDISC_|FQ_|CAKE_|DUALPI2_|TC_EGRESS$|NEIGH_CREATEFAIL$|NETFILTER_DROP$)/;
/** netdata warns from here on (udp_errors.conf). Any program that sends as fast as it can meets the limit now and then. */
const REFUSED_PER_SECOND = 10;

export default defineRule({
  id: 'udp-sndbuf',
  title: 'Programs send UDP faster than it leaves, and their send buffers are full',
  needs: { snmp },
  wants: { drops, qdisc, sysctl },
  // Whatever drops a datagram on its way out makes its sending fail: the same packets.
  consequenceOf: [
    'qdisc-overlimit',
    'tc-egress-drop',
    'neigh-table-overflow',
    'link-down-tx',
    'nic-link-flap',
    'veth-peer',
    'vxlan-misconfig',
    'tun-tap-queue-full',
    'cgroup-bpf-egress',
    'nf-rule-drop',
  ],
  reviewed: '2026-11-22',
  explain: {
    see: 'A program that sends UDP logs "Resource temporarily unavailable" (EAGAIN), or what it sends has gaps though no interface drops.',
    kernel:
      'Datagrams that wait in the queue of an interface are charged to the send buffer of their socket. When it is full, a program that does not want to wait gets EAGAIN (`sock_alloc_send_pskb`, net/core/sock.c): `Udp SndbufErrors`, and `Ip OutDiscards` beside it. There is no packet yet, so there is no drop event. The same counter rises when a queue, a filter or the neighbour table drops a datagram later (Linux 6.18).',
    confirm:
      '`nstat -az UdpSndbufErrors IpOutDiscards`; `ss -uanmp`: a t near tb is a full send buffer; `tc -s qdisc`: dropped must stay as it is.',
    fix: 'A larger SO_SNDBUF in the program (at most `net.core.wmem_max`) takes bursts. Sending more evenly, or less, is the cure where the line itself is too slow.',
    normal:
      'Programs that send as fast as the line allows, and wait when they are told to (QUIC servers, iperf3).',
    references: ['net/ipv4/udp.c udp_sendmsg, udp_send_skb (Linux 6.18)'],
  },
  judge({ snmp, drops, qdisc, sysctl }, { seconds }) {
    const errors = rises(snmp, ERRORS);
    const later = dropsWhere(
      drops,
      ({ reason }) => reason !== null && ON_THE_WAY_OUT.test(reason),
    ).packets;
    // With tracefs the drops are those of all namespaces: rather too many are set off than too few.
    const packets = errors - Math.max(later, qdiscDrops(qdisc));
    if (packets <= 0 || packets < REFUSED_PER_SECOND * seconds) return [];
    const limit = sysctl?.last.text('net.core.wmem_max');
    return [
      {
        kind: 'cause',
        confidence: drops === undefined || qdisc === undefined ? 'possible' : 'likely',
        packets,
        countedAgain: true,
        // The program is told, and may wait and send again: whether anything was lost only it knows.
        severityAtMost: 'notice',
        traffic: {
          packets: errors + rises(snmp, ['Udp.OutDatagrams', 'Udp6.OutDatagrams']),
          what: 'UDP datagrams sent',
        },
        scope: {},
        because: observedRises(
          snmp,
          ERRORS,
          'datagrams that the kernel did not take from programs',
        ),
        means:
          'A program sends UDP faster than the interface takes it, and its send buffer is full. It is told so (EAGAIN); if it does not send again, the datagram is lost.',
        rulesOut:
          drops === undefined
            ? []
            : [
                {
                  id: 'qdisc-overlimit',
                  because: `only ${Math.max(later, qdiscDrops(qdisc))} datagrams were dropped by queues or filters on the way out`,
                },
              ],
        fixes: [
          {
            id: 'larger-sndbuf',
            title: 'Let the program send more evenly, or give it a larger send buffer',
            risk: 'caution',
            cost: 'With a larger buffer datagrams wait longer before they are sent.',
            steps: [
              {
                kind: 'command',
                argv: ['ss', '-uanmp'],
                why: 'the program with a t near its tb is the one',
              },
              {
                kind: 'manual',
                text: `Raise its SO_SNDBUF${limit === undefined ? '' : ` (net.core.wmem_max = ${limit} limits what it may ask for)`}, or let it wait until the socket can be written to, and then send again.`,
              },
            ],
            takesEffect: 'new-sockets',
          },
        ],
        claims: [],
      },
    ];
  },
});

/** Of all queues together: inner and outer ones count the same packets, so it may be too much, which is safe. */
function qdiscDrops(qdisc: Sampled<Qdiscs> | undefined): number {
  const before = new Map(
    (qdisc?.first.qdiscs ?? []).map((one) => [`${one.device} ${one.handle} ${one.parent}`, one]),
  );
  return (qdisc?.last.qdiscs ?? []).reduce(
    (sum, one) =>
      sum +
      rise(before.get(`${one.device} ${one.handle} ${one.parent}`)?.dropped ?? 0n, one.dropped),
    0,
  );
}
