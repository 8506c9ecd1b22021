import kernelLog from '../../checks/kernel-log.ts';
import snmp from '../../checks/snmp.ts';
import sockstat from '../../checks/sockstat.ts';
import sysctl from '../../checks/sysctl.ts';
import { defineRule } from '../../src/model/rule.ts';
import { kernelSaid } from '../kernel-messages.ts';
import { memoryLimitFixes } from '../memory-limit-fix.ts';
import { observedRises, rises } from '../protocol-counters.ts';
import { memKey, tcpMemory } from './tcp-memory.ts';

const COUNTERS: Readonly<Record<string, string>> = {
  'TcpExt.TCPMemoryPressures': 'times TCP began to save memory',
  'TcpExt.TCPAbortOnMemory': 'connections were cut off for want of memory',
};

/** Any that rises tells whether it is over. */
const TELLING = ['TcpExt.TCPOFODrop', 'TcpExt.TCPRcvQDrop', 'TcpExt.TCPMemoryPressures'];

export default defineRule({
  id: 'tcp-mem-pressure',
  title: 'TCP as a whole is short of memory',
  needs: { snmp },
  wants: { sockstat, sysctl, kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'All connections of the machine become slow at once, some are cut off. The kernel log may say "TCP: out of memory -- consider tuning tcp_mem".',
    kernel:
      'All TCP sockets of the machine together may use `net.ipv4.tcp_mem` pages. From the second of its three values on, `tcp_enter_memory_pressure` (net/ipv4/tcp.c) keeps every buffer small and clears out-of-order data (`TcpExt TCPMemoryPressures`, and the drops of tcp-rcvbuf-prune follow); at the third, data is refused and connections are cut off (`TCPAbortOnMemory`). It holds for all network namespaces; the counter rises in the one whose socket met the limit. A control group can have a limit of its own (`memory.max`), which looks the same inside it.',
    confirm:
      '`grep TCP /proc/net/sockstat` (mem, in pages) against `sysctl net.ipv4.tcp_mem`; `nstat -az TcpExtTCPMemoryPressures TcpExtTCPAbortOnMemory`; `ss -tanm`: who holds it.',
    fix: 'Find the sockets with full queues, and cure their programs. If somebody set `tcp_mem` lower than the kernel would, raise it again.',
    normal: 'Never for long.',
    references: [
      'net/ipv4/tcp.c tcp_enter_memory_pressure, tcp_init_mem (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, tcp_mem',
    ],
  },
  judge({ snmp, sockstat, sysctl, kernelLog }) {
    const memory = tcpMemory(snmp, sockstat, sysctl);
    if (memory.pressure !== true) return [];
    // Pressure that lasts is counted once; the losses go on.
    const counter = TELLING.find((name) => rises(snmp, [name]) > 0);
    const { peakPages, limits } = memory;
    const limit = limits?.[1];
    const isOver = peakPages !== undefined && limit !== undefined && peakPages > limit;
    return [
      {
        kind: 'cause',
        confidence: isOver && counter !== undefined ? 'certain' : 'likely',
        // What is lost for it is counted by the consequences.
        packets: 0,
        scope: {},
        because: [
          ...Object.entries(COUNTERS).flatMap(([name, what]) => observedRises(snmp, [name], what)),
          ...(limits === undefined
            ? []
            : [
                {
                  source: `/proc/net/sockstat TCP mem, ${memKey}`,
                  text: `up to ${peakPages ?? 'an unknown number of'} pages in use; pressure begins at ${limits[1] ?? '?'}, the end is ${limits[2] ?? '?'}`,
                },
              ]),
          ...kernelSaid(kernelLog, 'tcp-memory'),
        ],
        means: isOver
          ? 'All TCP sockets of the machine together use more memory than they should, so the kernel keeps every buffer small and drops what waits out of order.'
          : 'TCP was short of memory for a moment, or a control group has reached its own limit of memory.',
        rulesOut: [],
        fixes: memoryLimitFixes({
          protocol: 'tcp',
          now: limits,
          ram: sockstat?.last.ram,
          expect:
            counter === undefined
              ? undefined
              : {
                  counter: `snmp ${counter}`,
                  change: 'stops-rising',
                  traffic: 'snmp Tcp.InSegs',
                },
        }),
        claims: [],
      },
    ];
  },
});
