import drops from '../../checks/drops.ts';
import snmp from '../../checks/snmp.ts';
import xfrm, { type Xfrm } from '../../checks/xfrm.ts';
import type { Sampled } from '../../src/model/check.ts';
import { rise } from '../../src/model/counter.ts';
import { defineRule, type CauseFinding, type Claim, type Finding } from '../../src/model/rule.ts';
import { areStray, receivedPackets, sentPackets, strays } from './evidence.ts';

interface Meaning {
  readonly text: string;
  /** As the administrator decided: no alarm above warning. */
  readonly policy?: true;
}

/** What the counters of packets that came in, or went out, mean (xfrm_proc.rst). Not in the list: no loss. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  XfrmInTmplMismatch: { text: 'came without the protection their policy demands', policy: true },
  XfrmInNoPols: { text: 'were protected, but no policy allows them', policy: true },
  XfrmInPolBlock: { text: 'are blocked by a policy', policy: true },
  XfrmInNoStates: { text: 'have no security association (unknown SPI)' },
  XfrmInStateProtoError: { text: 'could not be decrypted or verified: keys differ' },
  XfrmInStateModeError: { text: 'do not fit the mode (tunnel, transport)' },
  XfrmInStateSeqError: { text: 'are outside the replay window' },
  XfrmInStateExpired: { text: 'belong to an expired security association' },
  XfrmInStateMismatch: { text: 'do not fit their security association (UDP encapsulation)' },
  XfrmInStateInvalid: { text: 'belong to a security association that is not valid' },
  XfrmInStateDirError: { text: 'belong to a security association of the other direction' },
  XfrmInHdrError: { text: 'have a bad header' },
  XfrmInBufferError: { text: 'found no buffer' },
  XfrmInPolError: { text: 'met an error of a policy' },
  XfrmInError: { text: 'failed for another reason' },
  XfrmFwdHdrError: { text: 'to be forwarded have a bad header' },
  XfrmOutPolBlock: { text: 'are blocked by a policy; the program gets an error', policy: true },
  XfrmOutNoStates: { text: 'need a security association that is not there yet' },
  XfrmOutBundleGenError: { text: 'found no usable chain of security associations' },
  XfrmOutBundleCheckError: { text: 'met a chain of security associations no longer valid' },
  XfrmOutStateProtoError: { text: 'could not be encrypted' },
  XfrmOutStateModeError: { text: 'do not fit the mode; too big for the tunnel, perhaps' },
  XfrmOutStateSeqError: { text: 'found the sequence numbers used up' },
  XfrmOutStateExpired: { text: 'met an expired security association' },
  XfrmOutStateInvalid: { text: 'met a security association that is not valid' },
  XfrmOutStateDirError: { text: 'met a security association of the other direction' },
  XfrmOutPolDead: { text: 'met a policy that was just deleted' },
  XfrmOutPolError: { text: 'met an error of a policy' },
  XfrmOutNoQueueSpace: { text: 'found the queue full' },
  XfrmOutError: { text: 'failed for another reason' },
};

/** Where the check of the policy ends a packet: the reason gets lost where no socket wants it. */
const LOCATIONS = [
  '__udp4_lib_rcv',
  '__udp6_lib_rcv',
  'udp_queue_rcv_one_skb',
  'udpv6_queue_rcv_one_skb',
  'tcp_v4_rcv',
  'tcp_v6_rcv',
  'ip_forward',
  'ip6_forward',
  'icmp_rcv',
  'icmpv6_rcv',
  'raw_rcv',
  'rawv6_rcv',
  'ip_protocol_deliver_rcu',
  'ip_local_deliver_finish',
  'ip6_protocol_deliver_rcu',
  'xfrm_input',
  'xfrm_output',
  'xfrm_output_resume',
  'xfrm4_rcv_encap',
  'xfrm6_rcv_encap',
  '__xfrm_policy_check',
];

export default defineRule({
  id: 'xfrm-policy',
  title: 'IPsec refuses packets',
  needs: { xfrm, snmp },
  wants: { drops },
  reviewed: '2026-11-22',
  explain: {
    see: 'Traffic between two sites or hosts stops, often one way, or after a rekey; programs get "Operation not permitted". A counter of `/proc/net/xfrm_stat` rises.',
    kernel:
      '`__xfrm_policy_check` (net/xfrm/xfrm_policy.c) holds what came in against the policies: `XFRM_POLICY`, `XfrmInTmplMismatch`, `XfrmInPolBlock`. Without a socket for it the reason gets lost (`NOT_SPECIFIED` at `__udp4_lib_rcv`). `xfrm_input` looks for the security association (`XfrmInNoStates`, `XfrmInStateSeqError` …). What a policy blocks on its way out makes no drop event (`XfrmOutPolBlock`).',
    confirm:
      '`cat /proc/net/xfrm_stat`; `ip xfrm policy`; `ip -s xfrm state`; the log of the IKE daemon (`swanctl --list-sas`, `ipsec status`).',
    fix: 'Template mismatch: exempt the traffic by a policy, or let the peer protect it. No state, bad keys, replay: the two ends do not have the same associations; restart the negotiation, look at clocks and NAT. Replay errors with several queues or QoS in between: a larger replay window.',
    normal: 'A few while keys are renewed, and unprotected packets that a policy is there to stop.',
    references: [
      'Documentation/networking/xfrm/xfrm_proc.rst',
      'net/xfrm/xfrm_policy.c __xfrm_policy_check (Linux 6.18)',
    ],
  },
  judge({ xfrm, snmp }, window) {
    return (['in', 'out'] as const).flatMap((direction): readonly Finding[] => {
      const rises = risesOf(xfrm, direction);
      const packets = rises.reduce((sum, one) => sum + one.packets, 0);
      const claims: readonly Claim[] =
        direction === 'in'
          ? [
              { reason: 'XFRM_POLICY', packets },
              { reason: 'NOT_SPECIFIED', location: LOCATIONS, packets },
              { reason: null, location: LOCATIONS, packets },
            ]
          : [];
      if (areStray(packets, window)) {
        return strays(
          'A few packets that IPsec refused, as happens while keys are renewed.',
          claims,
          window,
        );
      }
      const finding: CauseFinding = {
        kind: 'cause',
        confidence: 'certain',
        packets,
        traffic: direction === 'in' ? receivedPackets(snmp) : sentPackets(snmp),
        ...(rises.every(({ policy }) => policy === true)
          ? { severityAtMost: 'warning' as const }
          : {}),
        scope: {},
        because: rises.map(({ name, packets, text }) => ({
          source: `/proc/net/xfrm_stat ${name}`,
          text: `${packets} packets ${text}`,
          first: String(xfrm.first.counters.get(name) ?? 0n),
          last: String(xfrm.last.counters.get(name) ?? 0n),
        })),
        means:
          direction === 'in'
            ? `Packets that came in ${rises[0]?.text ?? ''}.`
            : `Packets of this host, or through it, ${rises[0]?.text ?? ''}.`,
        rulesOut: [{ id: 'nf-rule-drop', because: 'a firewall does not move these counters' }],
        fixes: [
          {
            id: 'align-ipsec',
            title: 'Make both ends agree on what is protected, and how',
            risk: 'disruptive',
            cost: 'connections through the tunnel are interrupted',
            takesEffect: 'at-once',
            steps: [
              {
                kind: 'manual',
                text: 'Compare ip xfrm policy and ip xfrm state on both ends with what the IKE daemon logs. Then correct the policy, exempt the traffic, or let the daemon negotiate again.',
              },
            ],
          },
        ],
        claims,
        ...(direction === 'out' ? { beforeEvents: true as const } : {}),
      };
      return [finding];
    });
  },
});

interface Rise extends Meaning {
  readonly name: string;
  readonly packets: number;
}

/** Counters of this direction that rose, the most first. */
function risesOf(xfrm: Sampled<Xfrm>, direction: 'in' | 'out'): readonly Rise[] {
  return Object.entries(MEANINGS)
    .filter(([name]) => name.startsWith('XfrmOut') === (direction === 'out'))
    .map(([name, meaning]) => ({
      name,
      ...meaning,
      packets: rise(xfrm.first.counters.get(name), xfrm.last.counters.get(name)),
    }))
    .filter(({ packets }) => packets > 0)
    .sort((a, b) => b.packets - a.packets);
}
