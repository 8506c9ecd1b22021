import drops from '../../checks/drops.ts';
import programs from '../../checks/programs.ts';
import qdisc from '../../checks/qdisc.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { sentPackets } from '../ip/evidence.ts';
import { judgeTc } from './tc-drops.ts';

export default defineRule({
  id: 'tc-egress-drop',
  title: 'A tc filter or BPF program drops packets on their way out',
  needs: { drops, snmp },
  wants: { qdisc, programs },
  reviewed: '2026-11-22',
  explain: {
    see: 'Programs get "No buffer space available" or "Operation not permitted", or nothing at all; packets do not reach the wire, and tcpdump on this interface does not show them.',
    kernel:
      'Filters at the clsact hook, and BPF programs attached there (tcx), run in `sch_handle_egress` (net/core/dev.c) before the queue of the interface. What they refuse has the reason `TC_EGRESS` and shows in `__dev_queue_xmit`. The qdisc counts it as `dropped`, both directions together; tcx has no counter. For local UDP the same packets count in `Ip OutDiscards` and `Udp SndbufErrors` again.',
    confirm:
      '`tc -s qdisc show dev INTERFACE` (clsact: dropped); `tc -s filter show dev INTERFACE egress`; whydrop names BPF programs and who holds them (as root, with libbpf), and so do `bpftool net` and `bpftool prog show id ID`.',
    fix: 'Correct the filter, or ask its owner (Cilium: `cilium monitor --type drop`). A policer: raise its rate, or its burst to at least ten full packets.',
    normal: 'Rate limits and network policies drop on purpose.',
    references: ['net/core/dev.c sch_handle_egress (Linux 6.18)'],
  },
  judge({ drops, snmp, qdisc, programs }, window) {
    const hook = {
      direction: 'egress',
      reasons: ['TC_EGRESS'],
      locations: ['sch_handle_egress', '__dev_queue_xmit'],
      traffic: sentPackets(snmp),
    } as const;
    return judgeTc(hook, { drops, qdisc, programs }, window);
  },
});
