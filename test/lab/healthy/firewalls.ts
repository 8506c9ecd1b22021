import { HTTP_SERVER, KNOCKS } from '../healthy-programs.ts';
import { client, httpRequests, server, TRAFFIC_MS } from '../healthy-traffic.ts';
import { inside, nft, RECEIVER, type Pair } from '../network.ts';
import type { Done, Workload } from '../workload.ts';

const FIREWALL = `
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport 8080 accept
    udp dport 20000-65535 counter drop
  }
}`;

const IPTABLES = [
  '-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT',
  '-A INPUT -p tcp --dport 8080 -j ACCEPT',
  '-A INPUT -p icmp -j ACCEPT',
  '-A INPUT -j DROP',
];

/** HTTP as usual, and the Internet knocks at closed ports a few times a second. */
async function behindFirewall(pair: Pair): Promise<readonly Done[]> {
  const [http, knocks] = await Promise.all([
    httpRequests(pair),
    client(pair.a, 'node', KNOCKS, RECEIVER, 4, TRAFFIC_MS),
  ]);
  return [http, { count: knocks, what: 'knocks', atLeast: 10 }];
}

export default [
  {
    name: 'a firewall (nftables, policy drop) refuses the noise of the Internet',
    async setUp(pair) {
      await nft(pair.b, FIREWALL);
      await server(pair, pair.b, 'node', HTTP_SERVER, 8080);
    },
    traffic: behindFirewall,
  },
  {
    name: 'a firewall (iptables) refuses the noise of the Internet',
    async setUp(pair) {
      for (const rule of IPTABLES) await inside(pair.b, `iptables-nft ${rule}`);
      await server(pair, pair.b, 'node', HTTP_SERVER, 8080);
    },
    traffic: behindFirewall,
  },
  {
    name: 'somebody tries ports that nobody listens on',
    async traffic({ a }) {
      const count = await client(a, 'node', KNOCKS, RECEIVER, 100, TRAFFIC_MS);
      return { count, what: 'knocks', atLeast: 100 };
    },
  },
] satisfies readonly Workload[];
