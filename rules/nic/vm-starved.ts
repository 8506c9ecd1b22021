import cpu from '../../checks/cpu.ts';
import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cpuShares, percent, starvedCpu } from '../cpu/cpu-shares.ts';
import { ringLosses } from './ring-loss.ts';

export default defineRule({
  id: 'vm-starved',
  title: 'The hypervisor gives this virtual machine too little CPU time',
  needs: { cpu, link },
  wants: { ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'A virtual machine loses packets in bursts, though its own load is moderate. `top` shows steal time (`st`).',
    kernel:
      'While the hypervisor runs something else, the virtual CPU empties no receive ring: it fills within milliseconds, and the virtual card drops. The time that was lost so is `steal` in `/proc/stat`; not all hypervisors tell it. With virtio the loss is counted on the host only, as drops of the tap device.',
    confirm:
      '`vmstat 1` (column st) or `mpstat -P ALL 1` (%steal), beside the drops of the card (`ethtool -S INTERFACE`). On the host: drops of the tap device; for VMware %RDY and %DRPRX in esxtop.',
    fix: 'Fewer virtual machines on the host, reserved CPUs for this one, or another host. A larger ring bridges gaps of milliseconds.',
    normal: 'A percent or two of steal time on a shared host.',
    references: [
      'Documentation/filesystems/proc.rst, /proc/stat, steal',
      'kernel/sched/cputime.c steal_account_process_time (Linux 6.18)',
    ],
  },
  judge({ cpu, link, ethtool }) {
    const worst = starvedCpu(cpuShares(cpu));
    const [hurt] = ringLosses(link, ethtool);
    if (worst === undefined || hurt === undefined) return [];
    return [
      {
        kind: 'cause',
        confidence: 'likely',
        // The ring counts what is lost by it.
        packets: 0,
        scope: { cpu: worst.cpu },
        because: [
          {
            source: '/proc/stat',
            text: `the hypervisor took ${percent(worst.steal)} of the time of CPU ${worst.cpu}`,
          },
        ],
        means: `The hypervisor stops this machine now and then, and meanwhile nobody empties the ring of ${hurt.name}.`,
        rulesOut: [],
        fixes: [
          {
            id: 'more-cpu-time',
            title: 'Give this virtual machine more CPU time',
            risk: 'disruptive',
            cost: 'a move to another host or plan',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: `On the hypervisor: fewer machines on this host, reserved or pinned CPUs for this one, or another host. A longer ring bridges short gaps only: ethtool -g ${hurt.name} shows it.`,
              },
            ],
          },
        ],
        claims: [],
      },
    ];
  },
});
