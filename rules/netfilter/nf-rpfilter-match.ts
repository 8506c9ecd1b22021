import firewall, { type FirewallRule } from '../../checks/firewall.ts';
import { defineRule } from '../../src/model/rule.ts';
import { risesOf } from './rule-rises.ts';

export default defineRule({
  id: 'nf-rpfilter-match',
  title: 'A firewall rule refuses packets for the interface they came in by (rpfilter)',
  needs: { firewall },
  reviewed: '2026-11-22',
  explain: {
    see: 'One-way traffic on a host with several interfaces, often IPv6 only, though `rp_filter` is 0.',
    kernel:
      'A rule does what the reverse-path filter does: `fib saddr . iif oif missing drop` in nftables (net/netfilter/nft_fib.c), `-m rpfilter --invert -j DROP` in iptables. firewalld installs one for IPv6 (`IPv6_rpfilter=strict`). The sysctl `rp_filter` has no say in it.',
    confirm:
      '`nft list ruleset | grep "fib saddr"`, `ip6tables-save -c | grep rpfilter`; `ip route get SOURCE` shows where an answer would leave.',
    fix: 'Make routing symmetric. With firewalld: `IPv6_rpfilter=loose` in /etc/firewalld/firewalld.conf. Otherwise change the rule.',
    normal: 'On an Internet-facing router it stops forged addresses.',
    references: ['net/netfilter/nft_fib.c (Linux 6.18)', 'firewalld.conf(5), IPv6_rpfilter'],
  },
  judge({ firewall }) {
    return risesOf(firewall, isReversePath).flatMap(({ entry, packets, first }) => {
      return {
        kind: 'cause' as const,
        confidence: 'certain' as const,
        // Counted as refused by nf-rule-drop; this says what kind of rule it is.
        packets: 0,
        severityAtMost: 'notice' as const,
        scope: { rule: entry.text },
        because: [
          {
            source: entry.tool === 'nft' ? 'nft list ruleset' : `${entry.tool}-save -c`,
            text: `${packets} packets met ${entry.text}`,
            first: String(first),
            last: String(entry.packets),
          },
        ],
        means: `This rule drops packets to whose source no route leads back through the interface they came in by${entry.owner === null ? '' : `; by its names it belongs to ${entry.owner}`}. Routing is asymmetric, or the sources are forged.`,
        rulesOut: [
          {
            id: 'ip-rpfilter',
            because: 'the sysctl rp_filter counts elsewhere, and a rule did it',
          },
        ],
        fixes: [],
        claims: [],
      };
    });
  },
});

function isReversePath({ text, verdict }: FirewallRule): boolean {
  return (
    verdict === 'drop' &&
    /fib saddr\b.*\b(?:oif|oifname)\b.*\b(?:missing|0)\b|-m rpfilter\b.*--invert/.test(text)
  );
}
