import { notDelivered } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, nft } from '../network.ts';
import { PORT, steady } from '../traffic.ts';

const refused = {
  cause: 'nf-rule-drop',
  traffic: steady,
  lost: notDelivered,
} satisfies Partial<Fault>;

export const nftablesRule: Fault = {
  ...refused,
  name: 'nftables rule with a counter',
  confidence: 'certain',
  setUp: ({ b }) =>
    nft(
      b,
      `table inet t { chain i { type filter hook input priority 0; udp dport ${PORT} counter drop comment "lab"; }; }`,
    ),
};

export default [
  nftablesRule,
  {
    ...refused,
    name: 'nftables rule without a counter',
    confidence: 'likely',
    setUp: ({ b }) =>
      nft(
        b,
        `table inet t { chain i { type filter hook input priority 0; udp dport ${PORT} drop; }; }`,
      ),
  },
  {
    ...refused,
    name: 'nftables chain policy',
    confidence: 'likely',
    setUp: ({ b }) =>
      nft(
        b,
        'table inet t { chain i { type filter hook input priority 0; policy drop; tcp dport 22 accept; }; }',
      ),
  },
  {
    ...refused,
    name: 'iptables (nft) rule',
    confidence: 'certain',
    setUp: ({ b }) =>
      inside(b, `iptables-nft -A INPUT -p udp --dport ${PORT} -m comment --comment lab -j DROP`),
  },
  {
    ...refused,
    name: 'iptables (legacy) rule',
    confidence: 'certain',
    setUp: ({ b }) => inside(b, `iptables-legacy -A INPUT -p udp --dport ${PORT} -j DROP`),
  },
  {
    ...refused,
    name: 'iptables (legacy) policy',
    confidence: 'certain',
    setUp: ({ b }) => inside(b, 'iptables-legacy -P INPUT DROP'),
  },
] satisfies readonly Fault[];
