import { nftCounted, notDelivered, nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { addHost, frameAddresses, inside, macOf, nft, RECEIVER, type Pair } from '../network.ts';
import { PORT, sendFrames, sendUdp, steady } from '../traffic.ts';

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

/** The policy of the IP layer would refuse the same packets, but they do not come as far. */
const AT_DEVICE = `
table netdev t {
  chain other { type filter hook ingress device lo priority 0; policy drop; }
  chain i { type filter hook ingress device vb priority 0; udp dport 53 drop; ip saddr 10.77.0.0/24 udp dport ${PORT} drop; }
}
table ip t { chain i { type filter hook input priority 0; policy drop; }; }`;
const IN_BRIDGE = `
table bridge t {
  chain i { type filter hook input priority 0; udp dport ${PORT} drop; }
  chain f { type filter hook forward priority 0; arp operation request accept; oifname "vb" udp dport ${PORT} drop; udp dport ${PORT} drop; }
}`;
const OF_ARP = `
table arp t {
  chain i {
    type filter hook input priority 0;
    arp operation request counter
    arp saddr ip 10.77.0.9 drop
    arp operation request arp daddr ip ${RECEIVER} drop
  }
  chain o { type filter hook output priority 0; arp operation reply drop; }
}`;

const GUEST = '10.77.0.3';

/** The receiver's cable ends in a bridge, which has a guest on its second port. */
async function bridge({ a, b, cleanUp }: Pair): Promise<void> {
  const guest = await addHost(cleanUp, b, 'p1');
  await inside(guest, `ip addr add ${GUEST}/24 dev eth0`);
  await inside(
    a,
    `ip neigh add ${GUEST} dev va lladdr ${await macOf(guest, 'eth0')} nud permanent`,
  );
  await inside(b, 'ip link add br0 type bridge');
  for (const port of ['vb', 'p1']) await inside(b, `ip link set ${port} master br0`);
  await inside(b, 'ip link set br0 up');
}

/** A request for the receiver's address, as the sender's kernel would make it. */
async function arpRequest(pair: Pair): Promise<string> {
  const sender = (await macOf(pair.a, 'va')).replaceAll(':', '');
  const [source, target] = ['0a4d0001', '0a4d0002'];
  return `${await frameAddresses(pair)}08060001080006040001${sender}${source}${'00'.repeat(6)}${target}`;
}

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
    name: 'nftables rule at a device, without a counter',
    confidence: 'likely',
    onlyBpf: true,
    scope: { rule: `netdev t i: ip saddr 10.77.0.0/24 udp dport ${PORT} drop` },
    setUp: ({ b }) => nft(b, AT_DEVICE),
  },
  {
    ...refused,
    name: 'nftables rule in a bridge, without a counter',
    confidence: 'likely',
    onlyBpf: true,
    interface: 'p1',
    scope: { rule: `bridge t f: udp dport ${PORT} drop` },
    async setUp(pair) {
      await bridge(pair);
      await nft(pair.b, IN_BRIDGE);
    },
    traffic: ({ a }) => sendUdp({ from: a, to: GUEST, port: PORT, packets: 200, perSecond: 200 }),
    lost: async ({ a, b }) =>
      (await nstat(a, 'UdpOutDatagrams')) - (await nstat(`${b}p1`, 'UdpNoPorts')),
  },
  {
    ...refused,
    name: 'nftables rule for ARP, without a counter',
    confidence: 'likely',
    onlyBpf: true,
    scope: { rule: `arp t i: arp operation request arp daddr ip ${RECEIVER} drop` },
    setUp: ({ b }) => nft(b, OF_ARP),
    traffic: async (pair) => sendFrames(pair.a, 'va', 200, await arpRequest(pair)),
    lost: ({ b }) => nftCounted(b, 'arp t i'),
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
