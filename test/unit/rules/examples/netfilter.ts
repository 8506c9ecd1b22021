import type { FirewallRule } from '../../../../checks/firewall.ts';
import {
  conntrackOf,
  detailsOf,
  dropped,
  firewallOf,
  links,
  sampled,
  settings,
} from '../evidence.ts';
import type { Example, HostEvidence } from '../example.ts';

const RULE: FirewallRule = {
  key: 'nftables inet filter input handle 4',
  backend: 'nftables',
  tool: 'nft',
  family: 'inet',
  table: 'filter',
  chain: 'input',
  hooks: ['input'],
  handle: 4,
  position: 1,
  text: 'udp dport 5000 counter drop',
  comment: null,
  owner: null,
  verdict: 'drop',
  packets: 0n,
};

/** One rule, and what it counted. */
function counting(rule: Partial<FirewallRule>, packets: number): HostEvidence['firewall'] {
  const at = (packets: number) =>
    firewallOf({ rules: [{ ...RULE, ...rule, packets: BigInt(1000 + packets) }] });
  return sampled(at(0), at(packets));
}

interface Table {
  readonly count: number;
  readonly rises: Readonly<Record<string, number>>;
}

function conntrack({ count, rises }: Table): HostEvidence['conntrack'] {
  const at = (add: boolean) =>
    conntrackOf(
      { count, max: 1000, buckets: 1000 },
      {
        drop: 100,
        insert_failed: 100,
        invalid: 100,
        ...(add
          ? Object.fromEntries(Object.entries(rises).map(([name, rise]) => [name, 100 + rise]))
          : {}),
      },
    );
  return sampled(at(false), at(true));
}

export default [
  {
    rule: 'nf-rule-drop',
    evidence: (packets) => ({
      firewall: counting({}, packets),
      drops: dropped('NETFILTER_DROP', 'nft_do_chain', packets),
    }),
    causeFrom: 1,
  },
  {
    rule: 'bridge-netfilter',
    evidence: (packets) => ({
      firewall: counting({ chain: 'forward', hooks: ['forward'] }, packets),
      link: links({
        br0: { kind: 'bridge', rxPackets: 0n },
        vm1: {
          kind: 'tun',
          portKind: 'bridge',
          portState: 'forwarding',
          master: 'br0',
          rxPackets: 10_000n,
        },
        vm2: {
          kind: 'tun',
          portKind: 'bridge',
          portState: 'forwarding',
          master: 'br0',
          rxPackets: 10_000n,
        },
      }),
      sysctl: settings({ 'net.bridge.bridge-nf-call-iptables': 1 }),
      drops: dropped('NETFILTER_DROP', 'nft_do_chain', packets, detailsOf({ interface: 'vm2' })),
    }),
    causeFrom: 1,
  },
  {
    rule: 'nf-rpfilter-match',
    evidence: (packets) => ({
      firewall: counting({ text: 'fib saddr . iif oif missing counter drop' }, packets),
      drops: dropped('NETFILTER_DROP', 'nft_do_chain', packets),
    }),
    causeFrom: 1,
    beside: ['nf-rule-drop'],
  },
  {
    rule: 'nf-conntrack-full',
    evidence: (packets) => ({
      conntrack: conntrack({ count: packets === 0 ? 500 : 1000, rises: { drop: packets } }),
      drops: dropped('NETFILTER_DROP', 'nf_hook_slow', packets),
    }),
    causeFrom: 1,
  },
  {
    rule: 'nf-conntrack-full',
    evidence: (count) => ({ conntrack: conntrack({ count, rises: {} }) }),
    causeFrom: 900,
    clear: 990,
  },
  {
    rule: 'nf-conntrack-invalid',
    evidence: (invalid) => ({ conntrack: conntrack({ count: 10, rises: { invalid } }) }),
    causeFrom: 50,
  },
  {
    rule: 'nf-conntrack-insert-failed',
    evidence: (packets) => ({
      conntrack: conntrack({ count: 10, rises: { insert_failed: packets, drop: packets } }),
      drops: dropped('NETFILTER_DROP', 'nf_hook_slow', packets),
    }),
    causeFrom: 1,
  },
  {
    rule: 'nfqueue-drop',
    evidence: (packets) => {
      const at = (dropped: number) => ({
        queues: [
          {
            number: 0,
            port: 999,
            waiting: 1024,
            queueDropped: BigInt(100 + dropped),
            userDropped: 0n,
            sequence: BigInt(1000 + dropped),
          },
        ],
      });
      return {
        nfqueue: sampled(at(0), at(packets)),
        drops: dropped('NOT_SPECIFIED', '__nfqnl_enqueue_packet', packets),
      };
    },
    causeFrom: 1,
  },
] satisfies readonly Example[];
