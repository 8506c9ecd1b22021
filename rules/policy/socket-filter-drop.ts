import drops from '../../checks/drops.ts';
import programs from '../../checks/programs.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { dropsWhere, observedRises, policySeverity, rises } from '../protocol-counters.ts';
import { changeThePolicy, observedSuspects, suspectsOf } from './cgroup-program.ts';

const REASON = 'SOCKET_FILTER';
const UDP_LOCATIONS = [
  'udp_queue_rcv_one_skb',
  'udpv6_queue_rcv_one_skb',
  'udp_queue_rcv_skb',
  'udpv6_queue_rcv_skb',
];
const TCP_LOCATIONS = ['tcp_v4_rcv', 'tcp_v6_rcv', 'tcp_filter', 'sk_filter_trim_cap'];
const OTHER_LOCATIONS = ['sctp_rcv', 'dccp_v4_rcv', 'dccp_v6_rcv', '__sk_receive_skb'];
const LOCATIONS = [...UDP_LOCATIONS, ...TCP_LOCATIONS, ...OTHER_LOCATIONS];

export default defineRule({
  id: 'socket-filter-drop',
  title: 'A filter on a socket, or on its control group, refuses packets',
  needs: { drops, snmp },
  wants: { programs },
  reviewed: '2026-11-22',
  explain: {
    see: 'tcpdump sees the packets arrive, the firewall lets them pass, and the program does not get them.',
    kernel:
      'A program may attach a BPF filter to its socket (SO_ATTACH_FILTER, SO_ATTACH_BPF), and an administrator one to a control group, for all that its processes receive (systemd makes one for `IPAddressDeny=`). `sk_filter_trim_cap` (net/core/filter.c) runs both, and `udp_queue_rcv_one_skb` or `tcp_v4_rcv` drops what either refuses with the same reason, `SOCKET_FILTER`; of UDP it counts in `Udp InErrors` (Linux 6.18).',
    confirm:
      'whydrop names the programs of control groups (as root, with libbpf), and so does `bpftool cgroup tree` (`cgroup_inet_ingress`); `systemctl show -p IPAddressAllow,IPAddressDeny UNIT`. If there are none on the way to the service, it is a filter of the program itself.',
    fix: 'If the traffic is wanted: change the policy where it was made (the systemd unit, the network policy of the cluster, the program).',
    normal: 'Whenever a program or a policy filters on purpose.',
    references: [
      'net/core/filter.c sk_filter_trim_cap, BPF_CGROUP_RUN_PROG_INET_INGRESS (Linux 6.18)',
      'socket(7), SO_ATTACH_FILTER; systemd.resource-control(5), IPAddressDeny=',
    ],
  },
  judge({ drops, snmp, programs }, window) {
    const refused = (locations: readonly string[]) =>
      dropsWhere(
        drops,
        ({ reason, location }) => reason === REASON && locations.includes(location),
      );
    // Of UDP errors, what is left when those with a counter of their own are taken away.
    const errors = rises(snmp, ['Udp.InErrors', 'Udp6.InErrors']);
    const otherwise = ['RcvbufErrors', 'InCsumErrors', 'MemErrors'];
    const left = Math.max(
      0,
      errors -
        rises(
          snmp,
          otherwise.flatMap((name) => [`Udp.${name}`, `Udp6.${name}`]),
        ),
    );
    // TCP counts nothing, so of another namespace's drops its own cannot be told.
    const packets = window.severalNetns
      ? Math.min(refused(UDP_LOCATIONS).packets, left)
      : refused(LOCATIONS).packets;
    if (packets === 0) return [];
    const suspects = suspectsOf('ingress', programs, drops, refused(LOCATIONS).drops);
    return [
      {
        kind: 'cause',
        confidence: 'likely',
        packets,
        traffic: {
          packets: rises(snmp, ['Ip.InDelivers', 'Ip6.InDelivers']),
          what: 'IP packets for this host',
        },
        severityAtMost: policySeverity(packets, window),
        scope: {},
        because: [
          { source: 'skb:kfree_skb', text: `${packets} drops with the reason ${REASON}` },
          ...observedRises(snmp, ['Udp.InErrors', 'Udp6.InErrors'], 'UDP datagrams not delivered'),
          ...observedSuspects(suspects),
        ],
        means:
          'A policy on a service (a BPF program of its control group), or a filter of the program itself, refuses what arrives for it. It is a fault only if this traffic is wanted.',
        rulesOut: [
          {
            id: 'nf-rule-drop',
            because: 'the packets had passed the firewall: a rule has another reason',
          },
          ...(left > 0
            ? [{ id: 'udp-rcvbuf-full', because: `${left} errors of UDP are not of full buffers` }]
            : []),
        ],
        fixes: [changeThePolicy('cgroup_inet_ingress', suspects)],
        claims: [
          { reason: REASON, location: LOCATIONS, packets },
          withoutReasons({ location: UDP_LOCATIONS, packets: Math.min(packets, left) }),
        ],
      },
    ];
  },
});
