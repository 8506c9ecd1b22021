import { notDelivered } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, nft, RECEIVER } from '../network.ts';
import { PORT, sendUdp, steady } from '../traffic.ts';

const refused = {
  cause: 'nf-rule-drop',
  traffic: steady,
  lost: notDelivered,
} satisfies Partial<Fault>;

/** None of these rules counts; only one of them, or the policy, can have refused a packet. */
const UNCOUNTED = `
table inet t {
  set blocked { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 10.77.0.0/24 }; }
  chain i {
    type filter hook input priority 0; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname "lo" accept
    udp dport 53 drop
    ip saddr { 192.168.0.0/16, 198.51.100.1-198.51.100.9 } drop
    ip saddr @blocked udp dport ${PORT} drop
    tcp dport 22 accept
  }
}`;
const VERDICT_MAP = `
table inet t {
  map services { type inet_service : verdict; elements = { 53 : accept, ${PORT} : goto closed }; }
  chain other { drop; }
  chain closed { ip saddr 192.0.2.1 drop; ip saddr != 10.78.0.0/16 drop; }
  chain i {
    type filter hook input priority 0; policy drop;
    tcp dport 1-1000 goto other
    udp dport vmap @services
  }
}`;

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
    name: 'nftables set of networks, among rules that do not count either',
    confidence: 'likely',
    captures: ['bpf'],
    scope: { rule: `inet t i: ip saddr @blocked udp dport ${PORT} drop` },
    setUp: ({ b }) => nft(b, UNCOUNTED),
  },
  {
    ...refused,
    name: 'nftables chain policy, behind rules that do not count either',
    confidence: 'likely',
    captures: ['bpf'],
    scope: { rule: 'inet t i: policy drop' },
    setUp: ({ b }) => nft(b, UNCOUNTED),
    traffic: ({ a }) =>
      sendUdp({ from: a, to: RECEIVER, port: PORT + 1, packets: 200, perSecond: 200 }),
  },
  {
    ...refused,
    name: 'nftables verdict map that leads to a rule without a counter',
    confidence: 'likely',
    captures: ['bpf'],
    scope: { rule: 'inet t closed: ip saddr != 10.78.0.0/16 drop' },
    setUp: ({ b }) => nft(b, VERDICT_MAP),
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
