import kernelLog from '../../checks/kernel-log.ts';
import snmp from '../../checks/snmp.ts';
import sockstat, { type Sockstat } from '../../checks/sockstat.ts';
import sysctl from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import { defineRule, type CauseFinding, type Finding } from '../../src/model/rule.ts';
import { kernelSaid } from '../kernel-messages.ts';
import { observedRises, rises } from '../protocol-counters.ts';

/** tcp_check_oom() may count an orphan four times, so a quarter can be the limit (netdata: tcp_orphans.conf). */
const ORPHANS_SHARE = 0.25;
/** netdata warns of queues of TCP from one loss a second on (tcp_listen.conf). */
const OVERFLOWS_PER_SECOND = 1;

export default defineRule({
  id: 'tcp-orphans-tw',
  title: 'Too many TCP connections that are over, but not gone',
  needs: { snmp },
  wants: { sockstat, sysctl, kernelLog },
  reviewed: '2026-11-22',
  explain: {
    see: 'Connections are reset at the end of a transfer. The kernel log may say "too many orphaned sockets" or "time wait bucket table overflow".',
    kernel:
      'A connection that its program closed, with data still to send, is an orphan: at most `net.ipv4.tcp_max_orphans` on the machine, then `tcp_check_oom` (net/ipv4/tcp.c) resets them (`TcpExt TCPAbortOnMemory`); one that makes no progress counts up to four times. An ended connection waits a minute in TIME_WAIT: at most `net.ipv4.tcp_max_tw_buckets` in a namespace, then it is forgotten at once (`TCPTimeWaitOverflow`, net/ipv4/tcp_minisocks.c), so late segments of it meet a closed port.',
    confirm:
      '`grep TCP /proc/net/sockstat` (orphan, tw) against `sysctl net.ipv4.tcp_max_orphans net.ipv4.tcp_max_tw_buckets`; `nstat -az TcpExtTCPAbortOnMemory TcpExtTCPTimeWaitOverflow`.',
    fix: 'For orphans: peers that vanish hold them; `net.ipv4.tcp_orphan_retries` makes the kernel give up sooner. For TIME_WAIT: use connections for more than one request. A higher limit costs memory only.',
    normal: 'TIME_WAIT by the thousand on a busy server.',
    references: [
      'net/ipv4/tcp.c tcp_check_oom; net/ipv4/tcp_minisocks.c tcp_time_wait (Linux 6.18)',
      'Documentation/networking/ip-sysctl.rst, tcp_max_orphans, tcp_max_tw_buckets',
    ],
  },
  judge({ snmp, sockstat, sysctl, kernelLog }, { seconds }) {
    const findings: Finding[] = [];
    const limit = sysctl?.last.number('net.ipv4.tcp_max_orphans');
    const orphans = peak(sockstat, 'tcpOrphans');
    if (limit !== undefined && orphans !== undefined && orphans > limit * ORPHANS_SHARE) {
      const aborted = rises(snmp, ['TcpExt.TCPAbortOnMemory']);
      findings.push({
        ...hint,
        confidence: aborted > 0 ? 'likely' : 'possible',
        because: [
          ...observedRises(snmp, ['TcpExt.TCPAbortOnMemory'], 'connections were cut off'),
          {
            source: '/proc/net/sockstat TCP orphan, net.ipv4.tcp_max_orphans',
            text: `${orphans} connections have no program any more; ${limit} are allowed, and each may count up to four times`,
          },
          ...kernelSaid(kernelLog, 'orphaned-sockets'),
        ],
        means:
          'Many connections were closed by their programs with data still to send, and their peers do not take it. Soon the kernel cuts them off.',
      });
    }
    const overflows = rises(snmp, ['TcpExt.TCPTimeWaitOverflow']);
    if (overflows > 0 && overflows >= OVERFLOWS_PER_SECOND * seconds) {
      const buckets = sysctl?.last.number('net.ipv4.tcp_max_tw_buckets');
      findings.push({
        ...hint,
        confidence: 'certain',
        because: [
          ...observedRises(
            snmp,
            ['TcpExt.TCPTimeWaitOverflow'],
            'connections found no room in TIME_WAIT',
          ),
          ...(buckets === undefined
            ? []
            : [
                {
                  source: '/proc/net/sockstat TCP tw, net.ipv4.tcp_max_tw_buckets',
                  text: `up to ${peak(sockstat, 'tcpTimeWait') ?? 'an unknown number'} of ${buckets} in use`,
                },
              ]),
        ],
        means:
          'More connections end than TIME_WAIT has room for, so some are forgotten at once. It does no harm as long as no late segments of them arrive.',
      });
    }
    return findings;
  },
});

/** No packets are lost by it yet. */
const hint = {
  kind: 'cause',
  packets: 0,
  severityAtMost: 'notice',
  scope: {},
  rulesOut: [],
  fixes: [],
  claims: [],
} as const satisfies Partial<CauseFinding>;

function peak(
  sockstat: Sampled<Sockstat> | undefined,
  level: 'tcpOrphans' | 'tcpTimeWait',
): number | undefined {
  const looks = (sockstat?.samples ?? []).flatMap((sample) => sample[level] ?? []);
  return looks.length === 0 ? undefined : Math.max(...looks);
}
