import {
  CHATTER,
  HTTP_SERVER,
  TCP_SINK,
  TCP_STREAMS,
  UDP_ECHO,
  UDP_QUERIES,
  VPN,
} from '../healthy-programs.ts';
import { client, httpRequests, ping, rxPackets, server, SHORT_MS } from '../healthy-traffic.ts';
import { addHost, inside, macOf, nft, RECEIVER, SENDER, type Pair } from '../network.ts';
import { ipv4 } from '../packets.ts';
import { sendFrames } from '../traffic.ts';
import type { Done, Workload } from '../workload.ts';

const BEHIND = '10.88.0.2';
const BEHIND6 = 'fd88::2';
const NOBODY = '10.88.0.9';
/** Too many for drops that nothing explains (src/engine/verdict.ts). */
const LOOKUPS = 60;

/** A network behind `router`, to which the way is narrower than the cable. @returns its one host */
async function narrowNetwork(
  { cleanUp }: Pair,
  { router, sender, gateway }: Readonly<Record<'router' | 'sender' | 'gateway', string>>,
): Promise<string> {
  const host = await addHost(cleanUp, router, 'lan');
  await inside(router, 'sysctl -qw net.ipv4.ip_forward=1');
  await inside(router, 'ip addr add 10.88.0.1/24 dev lan');
  await inside(router, `ip route add ${BEHIND} dev lan mtu 1300`);
  await inside(host, `ip addr add ${BEHIND}/24 dev eth0`);
  await inside(host, 'ip route add default via 10.88.0.1');
  await inside(sender, `ip route add 10.88.0.0/24 via ${gateway}`);
  return host;
}

/** The same by IPv6, with the router `a`. It knows its neighbours: to ask, it needs link-local addresses, seconds later. */
async function narrowNetwork6({ a, b }: Pair, host: string): Promise<void> {
  await inside(a, 'sysctl -qw net.ipv6.conf.all.forwarding=1');
  await inside(a, 'ip addr add fd77::1/64 dev va nodad');
  await inside(a, `ip neigh add fd77::2 dev va lladdr ${await macOf(b, 'vb')}`);
  await inside(a, 'ip addr add fd88::1/64 dev lan nodad');
  await inside(a, `ip neigh add ${BEHIND6} dev lan lladdr ${await macOf(host, 'eth0')}`);
  await inside(a, `ip route add ${BEHIND6} dev lan mtu 1300`);
  await inside(host, `ip addr add ${BEHIND6}/64 dev eth0 nodad`);
  await inside(host, 'ip route add default via fd88::1');
  await inside(b, 'ip addr add fd77::2/64 dev vb nodad');
  await inside(b, 'ip route add fd88::/64 via fd77::1');
}

/** As a routing daemon does, for a destination without a route. @returns how often the kernel said so */
async function askForRoutes(netns: string): Promise<number> {
  const question = `route get 192.0.2.9 from ${SENDER} iif vb\n`;
  const text = await inside(netns, 'ip -force -batch -', question.repeat(LOOKUPS)).catch(String);
  return text.split('Network is unreachable').length - 1;
}

async function routed({ a, b }: Pair): Promise<readonly Done[]> {
  const [bytes, answers, learned, traced, off, unknown] = await Promise.all([
    client(`${b}lan`, 'node', TCP_STREAMS, SENDER, 7000, SHORT_MS),
    client(a, 'node', UDP_QUERIES, BEHIND, 5300, SHORT_MS),
    ping(a, `-c 5 -i 0.2 -W 0.5 -M do -s 1400 ${BEHIND}`),
    ping(a, `-c 5 -i 0.2 -W 0.5 -t 1 ${BEHIND}`),
    ping(a, `-c 5 -i 0.2 -W 0.5 ${NOBODY}`),
    askForRoutes(b),
  ]);
  return [
    { count: bytes, what: 'bytes received', atLeast: 10_000_000 },
    { count: answers, what: 'answers', atLeast: 50 },
    { count: 15 - learned - traced - off, what: 'packets turned away', atLeast: 15 },
    { count: unknown, what: 'look-ups without a route', atLeast: LOOKUPS },
  ];
}

const GUESTS = ['p1', 'p2', 'p3'];
const FLOODED_FRAMES = 200;

/** The receiver's address moves to a bridge, whose ports are its cable and three guests. */
async function bridge(pair: Pair): Promise<void> {
  const { b, cleanUp } = pair;
  await inside(b, 'ip link add br0 type bridge');
  await inside(b, `ip link set br0 address ${await macOf(b, 'vb')} up`);
  await inside(b, `ip addr del ${RECEIVER}/24 dev vb`);
  await inside(b, `ip addr add ${RECEIVER}/24 dev br0`);
  await inside(b, 'ip link set vb master br0');
  for (const [index, port] of GUESTS.entries()) {
    const guest = await addHost(cleanUp, b, port);
    await inside(b, `ip link set ${port} master br0`);
    await inside(guest, `ip addr add 10.77.0.${index + 11}/24 dev eth0`);
    await server(pair, guest, 'node', HTTP_SERVER, 8080);
  }
  await server(pair, b, 'node', HTTP_SERVER, 8080);
  await nft(b, REFUSES_OTHERS);
}

/** Rules that do not count, and meet none of this; of some of them no capture could tell. */
const REFUSES_OTHERS = `
table netdev t { chain i { type filter hook ingress device vb priority 0; ip saddr 192.0.2.0/24 drop; ether saddr 02:00:00:00:00:77 drop; }; }
table bridge t { chain f { type filter hook forward priority 0; ether saddr 02:00:00:00:00:77 drop; udp dport 1 drop; }; }
table arp t { chain i { type filter hook input priority 0; arp saddr ip 192.0.2.1 drop; }; }
`;

/** From outside to the host and its guests, between guests, to groups, and to an address the bridge does not know. */
async function bridged(pair: Pair): Promise<readonly Done[]> {
  const { a, b } = pair;
  const guest = `${b}p3`;
  const before = await rxPackets(guest, 'eth0');
  const from = (await macOf(a, 'va')).replaceAll(':', '');
  const unknown = ipv4({ source: SENDER, destination: '10.77.0.99' });
  const [host, outside, between] = await Promise.all([
    httpRequests(pair, SHORT_MS),
    httpRequests(pair, SHORT_MS, '10.77.0.11'),
    httpRequests({ ...pair, a: `${b}p2` }, SHORT_MS, '10.77.0.11'),
    client(a, 'node', CHATTER, SENDER, '10.77.0.255', SHORT_MS),
    sendFrames(a, 'va', FLOODED_FRAMES, `020000000099${from}${unknown}`),
  ]);
  const flooded = (await rxPackets(guest, 'eth0')) - before;
  return [
    host,
    outside,
    between,
    { count: flooded, what: 'frames flooded to a guest', atLeast: FLOODED_FRAMES },
  ];
}

const VPN_PORT = 1194;

/** One end of a tunnel, 10.99.0.1 or 10.99.0.2. @returns stops it */
async function connect(pair: Pair, netns: string, peer: string, address: string) {
  const stop = await server(pair, netns, 'perl', VPN, VPN_PORT, peer);
  await inside(netns, `ip addr add ${address}/24 dev tun0`);
  await inside(netns, 'ip link set tun0 up mtu 1400');
  return stop;
}

export default [
  {
    name: 'a router: traceroutes, hosts that are off, packets too big for the way on',
    async setUp(pair) {
      const { a, b } = pair;
      const host = await narrowNetwork(pair, { router: b, sender: a, gateway: RECEIVER });
      await server(pair, host, 'node', UDP_ECHO, 5300);
      await server(pair, a, 'node', TCP_SINK, 7000);
    },
    traffic: routed,
  },
  {
    name: 'uploads learn that the way is narrower than the cable',
    async setUp(pair) {
      const { a, b } = pair;
      const host = await narrowNetwork(pair, { router: a, sender: b, gateway: SENDER });
      await narrowNetwork6(pair, host);
      await server(pair, host, 'node', TCP_SINK, 7000);
    },
    async traffic({ b }) {
      const [ipv4, ipv6] = await Promise.all([
        client(b, 'node', TCP_STREAMS, BEHIND, 7000, SHORT_MS),
        client(b, 'node', TCP_STREAMS, BEHIND6, 7000, SHORT_MS),
      ]);
      return [
        { count: ipv4, what: 'bytes received by IPv4', atLeast: 5_000_000 },
        { count: ipv6, what: 'bytes received by IPv6', atLeast: 5_000_000 },
      ];
    },
  },
  {
    name: 'a bridge host: guests on three ports, unknown addresses are flooded',
    setUp: bridge,
    traffic: bridged,
  },
  {
    name: 'a VPN through a tun device connects, works and ends',
    async setUp(pair) {
      await connect(pair, pair.a, RECEIVER, '10.99.0.1');
      await server(pair, pair.b, 'node', HTTP_SERVER, 8080);
    },
    async traffic(pair) {
      const stop = await connect(pair, pair.b, SENDER, '10.99.0.2');
      const [http, replies] = await Promise.all([
        httpRequests(pair, SHORT_MS, '10.99.0.2'),
        ping(pair.a, '-c 10 -i 0.1 10.99.0.2'),
      ]);
      const count = await stop();
      return [
        { ...http, atLeast: 20 },
        { count: replies, what: 'replies to ping', atLeast: 10 },
        { count, what: 'packets through the tunnel', atLeast: 500 },
      ];
    },
  },
  {
    name: 'stray packets: a few for hosts behind this one, a traceroute',
    async setUp({ a, b }) {
      await inside(a, `ip route add 192.0.2.0/24 via ${RECEIVER}`);
      await inside(a, `ip route add 198.51.100.0/24 via ${RECEIVER}`);
      await inside(b, 'sysctl -qw net.ipv4.conf.vb.forwarding=1');
      await inside(b, 'ip link add other type veth peer name beyond');
      await inside(b, 'ip addr add 192.0.2.1/24 dev other');
      await inside(b, 'ip link set other up');
      await inside(b, 'ip link set beyond up');
    },
    async traffic({ a }) {
      const [traced, unrouted] = await Promise.all([
        ping(a, '-c 6 -i 0.4 -W 1 -t 1 192.0.2.9'),
        ping(a, '-c 6 -i 0.4 -W 1 198.51.100.9'),
      ]);
      return { count: 12 - traced - unrouted, what: 'packets turned away', atLeast: 12 };
    },
  },
] satisfies readonly Workload[];
