import { defineByReason } from '../by-reason.ts';
import { policySeverity } from '../protocol-counters.ts';

export default defineByReason({
  id: 'lsm-drop',
  title: 'A security module refuses packets',
  reviewed: '2026-11-22',
  matches: ({ reason }) => reason === 'SECURITY_HOOK',
  confidence: 'certain',
  severityAtMost: policySeverity,
  means:
    'A security module (SELinux, Smack, AppArmor, a BPF LSM) forbids that a socket gets these packets. It is a fault only if this traffic is wanted.',
  fixes: [
    {
      id: 'change-the-policy',
      title: 'If the traffic is wanted, allow it in the security policy',
      risk: 'disruptive',
      cost: 'It allows what somebody chose to forbid.',
      steps: [
        {
          kind: 'command',
          argv: ['ausearch', '-m', 'AVC', '-ts', 'recent'],
          why: 'SELinux logs what it denies, with the name of the service (journalctl -k without auditd)',
        },
        {
          kind: 'manual',
          text: 'Change the policy for that service with the tools of the security module. Do not switch it off.',
        },
      ],
      takesEffect: 'at-once',
    },
  ],
  explain: {
    see: 'Packets arrive and pass the firewall, but the program does not get them, or a connection is refused. The audit log has denials.',
    kernel:
      'Security modules may judge every packet for a socket (`security_sock_rcv_skb`, called by `sk_filter_trim_cap` in net/core/filter.c) and connection requests. What they refuse is dropped with the reason `SECURITY_HOOK`, since 6.8 where it shows at all.',
    confirm:
      '`ausearch -m AVC -ts recent`, or `journalctl -k | grep -i denied`; `cat /sys/kernel/security/lsm` lists the modules.',
    fix: 'Allow the traffic in the policy of the module, if it is wanted (SELinux: labels of packets, peers or ports).',
    normal: 'Whenever a policy forbids on purpose.',
    references: [
      'net/core/filter.c sk_filter_trim_cap (Linux 6.18)',
      'security/security.c security_sock_rcv_skb',
    ],
  },
});
