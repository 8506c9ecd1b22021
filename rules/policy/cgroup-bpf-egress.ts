import drops from '../../checks/drops.ts';
import programs from '../../checks/programs.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { withoutReasons } from '../benign.ts';
import { dropsWhere, ownEvents, policySeverity, rises } from '../protocol-counters.ts';
import { changeThePolicy, observedSuspects, suspectsOf, theOne } from './cgroup-program.ts';

const REASON = 'BPF_CGROUP_EGRESS';
const LOCATIONS = ['ip_finish_output', 'ip6_finish_output', 'ip_mc_finish_output'];

export default defineRule({
  id: 'cgroup-bpf-egress',
  title: 'A BPF program of a control group forbids what a service sends',
  needs: { drops, snmp },
  wants: { programs },
  reviewed: '2026-11-22',
  explain: {
    see: 'A service or container cannot reach something, its programs get "Operation not permitted" (EPERM), and no firewall rule counts.',
    kernel:
      'A BPF program can be attached to a control group and judge all that its processes send. `ip_finish_output` (net/ipv4/ip_output.c) asks it, and drops what it refuses with the reason `BPF_CGROUP_EGRESS`: `Ip OutDiscards`. systemd makes such programs for `IPAddressDeny=`; Cilium and other container networks have their own (Linux 6.18).',
    confirm:
      'whydrop names the programs of control groups (as root, with libbpf), and so does `bpftool cgroup tree` (`cgroup_inet_egress`); `systemctl show -p IPAddressAllow,IPAddressDeny UNIT`.',
    fix: 'If the traffic is wanted: change the policy where it was made (the systemd unit, the network policy of the cluster).',
    normal: 'Whenever such a policy is there, and somebody tries what it forbids.',
    references: [
      'net/ipv4/ip_output.c ip_finish_output, BPF_CGROUP_RUN_PROG_INET_EGRESS (Linux 6.18)',
      'systemd.resource-control(5), IPAddressDeny=',
    ],
  },
  judge({ drops, snmp, programs }, window) {
    const discards = rises(snmp, ['Ip.OutDiscards', 'Ip6.OutDiscards']);
    const { drops: dropped, packets: events } = dropsWhere(
      drops,
      ({ reason, location }) =>
        reason === REASON || (reason === null && LOCATIONS.includes(location)),
    );
    const packets = ownEvents(events, discards, window);
    if (packets === 0) return [];
    const suspects = suspectsOf('egress', programs, drops, dropped);
    const program = theOne(suspects);
    return [
      {
        kind: 'cause',
        confidence: drops.hasReasons ? 'certain' : 'likely',
        packets,
        traffic: {
          packets: packets + rises(snmp, ['Ip.OutRequests', 'Ip6.OutRequests']),
          what: 'IP packets sent',
        },
        severityAtMost: policySeverity(packets, window),
        scope: program === undefined ? {} : { rule: `${program.text}${program.heldBy}` },
        because: [
          {
            source: 'skb:kfree_skb',
            text: `${events} drops ${drops.hasReasons ? `with the reason ${REASON}` : 'at ip_finish_output'}`,
          },
          {
            source: '/proc/net/snmp Ip OutDiscards',
            text: `${discards} packets of this network namespace were discarded on their way out`,
          },
          ...observedSuspects(suspects),
        ],
        means:
          'A policy on a service or container (a BPF program of its control group) forbids what it sends. It is a fault only if this traffic is wanted.',
        rulesOut: [{ id: 'nf-rule-drop', because: 'a firewall rule has another reason' }],
        fixes: [changeThePolicy('cgroup_inet_egress', suspects)],
        claims: [{ reason: REASON, packets }, withoutReasons({ location: LOCATIONS, packets })],
      },
    ];
  },
});
