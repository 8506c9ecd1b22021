import drops from '../../checks/drops.ts';
import programs from '../../checks/programs.ts';
import qdisc from '../../checks/qdisc.ts';
import snmp from '../../checks/snmp.ts';
import { defineRule } from '../../src/model/rule.ts';
import { receivedPackets } from '../ip/evidence.ts';
import { judgeTc } from './tc-drops.ts';

export default defineRule({
  id: 'tc-ingress-drop',
  title: 'A tc filter or BPF program drops packets that come in',
  needs: { drops, snmp },
  wants: { qdisc, programs },
  reviewed: '2026-11-22',
  explain: {
    see: 'tcpdump shows the packets, the firewall and the programs do not get them; no counter of IP moves.',
    kernel:
      'Filters at the clsact or ingress hook, and BPF programs attached there (tcx), run in `sch_handle_ingress` (net/core/dev.c) after captures and before the IP layer. What they refuse has the reason `TC_INGRESS`, and shows in `__netif_receive_skb_core`, into which the compiler puts that function. A filter that jumps to a chain that is not there has reasons of its own (`TC_CHAIN_NOTFOUND` …). The qdisc counts it as `dropped`, both directions together; tcx has no counter.',
    confirm:
      '`tc -s qdisc show dev INTERFACE` (clsact or ingress: dropped); `tc -s filter show dev INTERFACE ingress`; whydrop names BPF programs and who holds them (as root, with libbpf), and so do `bpftool net` and `bpftool prog show id ID`.',
    fix: 'Correct the filter, or ask its owner (Cilium: `cilium monitor --type drop`). A policer: raise its rate, or its burst to at least ten full packets.',
    normal: 'Rate limits and network policies drop on purpose.',
    references: ['net/core/dev.c sch_handle_ingress (Linux 6.18)'],
  },
  judge({ drops, snmp, qdisc, programs }, window) {
    const hook = {
      direction: 'ingress',
      reasons: [
        'TC_INGRESS',
        'TC_COOKIE_ERROR',
        'TC_CHAIN_NOTFOUND',
        'TC_RECLASSIFY_LOOP',
        'TC_ERROR',
      ],
      locations: ['sch_handle_ingress', '__netif_receive_skb_core', 'ing_filter', 'tcf_classify'],
      traffic: receivedPackets(snmp),
    } as const;
    return judgeTc(hook, { drops, qdisc, programs }, window);
  },
});
