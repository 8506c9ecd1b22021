import conntrack from '../../checks/conntrack.ts';
import firewall, { type FirewallRule } from '../../checks/firewall.ts';
import sysctl from '../../checks/sysctl.ts';
import type { Fix } from '../../src/model/fix.ts';
import { defineRule, type Scope } from '../../src/model/rule.ts';
import { sysctlStep } from '../../src/model/sysctl-step.ts';
import { conntrackRise } from './conntrack-rise.ts';
import { risesOf } from './rule-rises.ts';

/** Late and stray segments make a few of them on any busy host: as often as a host is probed (policySeverity). */
const NOISE_PER_SECOND = 10;
/** The rule and the counter are not read at the same instant: at a steady pace half a second of five. */
const AGREEMENT = 0.1;
const liberalKey = 'net.netfilter.nf_conntrack_tcp_be_liberal';

export default defineRule({
  id: 'nf-conntrack-invalid',
  title: 'Connection tracking takes packets for invalid',
  needs: { conntrack },
  wants: { firewall, sysctl },
  reviewed: '2026-11-22',
  explain: {
    see: 'Connections stall or are reset in the middle, often on hosts with two ways to the peer, after a failover, or behind NAT.',
    kernel:
      'A packet that fits no known connection (TCP window, checksum, half a handshake seen) gets the state `invalid` (net/netfilter/nf_conntrack_proto_tcp.c) and counts in `conntrack -S` `invalid`. The kernel itself does not drop it: a rule `ct state invalid drop` does. Without such a rule it passes, but NAT leaves it alone, so the other end sees a strange address and answers with a reset.',
    confirm:
      '`conntrack -S` (invalid); `sysctl -w net.netfilter.nf_conntrack_log_invalid=255` logs each with the reason, for a short while.',
    fix: 'Mend the routing so that both directions pass this host. Where that cannot be: `sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1` accepts segments out of the window. Not where conntrack is the security boundary.',
    normal: 'A few a second: late segments of closed connections, scans.',
    references: [
      'net/netfilter/nf_conntrack_proto_tcp.c nf_conntrack_tcp_packet (Linux 6.18)',
      'Documentation/networking/nf_conntrack-sysctl.rst, nf_conntrack_tcp_be_liberal',
    ],
  },
  judge({ conntrack, firewall, sysctl }, { seconds }) {
    const packets = conntrackRise(conntrack, 'invalid');
    if (packets < NOISE_PER_SECOND * seconds || packets === 0) return [];
    const rises = firewall === undefined ? [] : risesOf(firewall, isInvalidDrop);
    const dropped = rises.sort((a, b) => b.packets - a.packets)[0];
    const uncounted = firewall?.last.rules.find(
      (entry) => entry.packets === null && isInvalidDrop(entry),
    );
    const same = Math.abs((dropped?.packets ?? 0) - packets) <= packets * AGREEMENT;
    const liberal = sysctl?.last.number(liberalKey);
    return [
      {
        kind: 'cause',
        confidence: dropped !== undefined && same ? 'certain' : 'possible',
        // What a rule drops is counted there, by nf-rule-drop; this says why it met the rule.
        packets: 0,
        severityAtMost: 'notice',
        scope: ruleScope(dropped?.entry ?? uncounted),
        because: [
          {
            source: 'conntrack -S invalid',
            text: `${packets} packets fitted no connection`,
            first: String(conntrack.first.counters.get('invalid') ?? 0n),
            last: String(conntrack.last.counters.get('invalid') ?? 0n),
          },
          ...(dropped === undefined
            ? []
            : [
                {
                  source: 'nft list ruleset, iptables-save -c',
                  text: `${dropped.packets} packets met ${dropped.entry.text}`,
                },
              ]),
        ],
        means: meaning(dropped?.entry, uncounted, firewall !== undefined),
        rulesOut: [],
        fixes: liberal === 0 && dropped !== undefined ? [beLiberal()] : [],
        claims: [],
      },
    ];
  },
});

function isInvalidDrop({ text, verdict }: FirewallRule): boolean {
  return verdict === 'drop' && /ct state (?:\S*,)?invalid|--ctstate (?:\S*,)?INVALID/.test(text);
}

function ruleScope(entry: FirewallRule | undefined): Scope {
  return entry === undefined ? {} : { rule: entry.text };
}

function meaning(
  dropped: FirewallRule | undefined,
  uncounted: FirewallRule | undefined,
  sawRules: boolean,
): string {
  const passed = 'they pass, but NAT leaves them alone: the other end may answer with a reset.';
  if (dropped !== undefined) {
    return 'A rule drops what connection tracking takes for invalid: segments outside of the window, of connections it saw only one direction of, or with a wrong checksum.';
  }
  if (uncounted !== undefined) {
    return `The rule "${uncounted.text}" is there to drop such packets, but it does not count, so how many met it is not known. Where they do not meet it, ${passed}`;
  }
  return sawRules
    ? `No rule drops them as invalid, so ${passed}`
    : `Unless a rule drops them, ${passed}`;
}

function beLiberal(): Fix {
  return {
    id: 'be-liberal',
    title: 'Accept TCP segments outside of the window',
    risk: 'caution',
    cost: 'connection tracking no longer refuses forged segments of a known connection, resets excepted',
    takesEffect: 'at-once',
    steps: [sysctlStep(liberalKey, 0, 1)],
    expect: {
      counter: 'conntrack invalid',
      change: 'stops-rising',
      traffic: 'snmp Ip.InReceives',
    },
  };
}
