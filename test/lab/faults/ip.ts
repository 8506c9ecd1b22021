import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { frameAddresses, inside, nft, RECEIVER, SENDER, type Pair } from '../network.ts';
import { ipv4, ipv6, type Ipv4Packet } from '../packets.ts';
import { ELSEWHERE } from './reverse-path.ts';
import { PORT, sendFrames, sendUdp, serve, steady, until } from '../traffic.ts';

const PACKETS = 200;
const ALONE = 'no counter: tracefs knows it by its drops alone';
/** Nobody has it: documentation addresses (RFC 5737, RFC 3849). */
const FAR = '198.51.100.1';
const FAR6 = '20010db8000100000000000000000001';
const SENDER6 = 'fd000000000000000000000000000001';
const RECEIVER6 = 'fd000000000000000000000000000002';

async function sendPackets(pair: Pair, ...packets: readonly string[]): Promise<void> {
  const addresses = await frameAddresses(pair);
  await sendFrames(pair.a, 'va', PACKETS, ...packets.map((packet) => `${addresses}${packet}`));
}

function sendIpv4(pair: Pair, packet: Partial<Ipv4Packet>): Promise<void> {
  return sendPackets(pair, ipv4({ source: SENDER, destination: RECEIVER, ...packet }));
}

/** Came in, and was neither delivered nor forwarded. */
async function vanished({ b }: Pair, ip: 'Ip' | 'Ip6' = 'Ip'): Promise<number> {
  const forwarded = await nstat(b, ip === 'Ip' ? 'IpForwDatagrams' : 'Ip6OutForwDatagrams');
  return (await nstat(b, `${ip}InReceives`)) - (await nstat(b, `${ip}InDelivers`)) - forwarded;
}

async function xfrmStat({ b }: Pair, name: string): Promise<number> {
  return Number(await inside(b, `awk $1=="${name}"{print$2} /proc/net/xfrm_stat`));
}

function sysctl({ b }: Pair, ...settings: readonly string[]): Promise<string> {
  return inside(b, `sysctl -qw ${settings.join(' ')}`);
}

function forwarding(pair: Pair): Promise<string> {
  return sysctl(pair, 'net.ipv4.ip_forward=1');
}

/** A network behind the receiver, on an interface of its own; its one host is known. */
async function networkBehind({ b }: Pair, mtu = 1500): Promise<void> {
  await inside(b, 'ip link add other type veth peer name other-peer');
  await inside(b, `ip link set other up mtu ${mtu}`);
  await inside(b, 'ip link set other-peer up');
  await inside(b, 'ip addr add 10.88.0.1/24 dev other');
  await inside(b, 'ip neigh add 10.88.0.2 dev other lladdr 02:00:00:00:00:99 nud permanent');
  await inside(b, 'ip route add 198.51.100.0/24 via 10.88.0.2');
}

let ids = 0;

/** The first fragments of so many datagrams, then the last ones if asked for. No id comes twice. */
function fragments(datagrams: number, complete: boolean): readonly string[] {
  const first = ids;
  ids += datagrams;
  const part = (fragment: number) =>
    Array.from({ length: datagrams }, (_, index) =>
      ipv4({
        source: SENDER,
        destination: RECEIVER,
        id: (first + index) % 0x10000,
        fragment,
        payloadBytes: 64,
      }),
    );
  // Offsets are in units of 8 bytes.
  return [...part(0x2000), ...(complete ? part(64 / 8) : [])];
}

const refusingRoute = {
  cause: 'blackhole-route',
  confidence: { bpf: 'certain', tracefs: 'possible' },
  alone: ALONE,
  traffic: (pair) => sendIpv4(pair, { destination: FAR }),
  lost: vanished,
} satisfies Partial<Fault>;

export default [
  {
    name: 'martian: a loopback source from outside',
    cause: 'ip-martian',
    confidence: { bpf: 'certain', tracefs: 'possible' },
    alone: ALONE,
    traffic: (pair) => sendIpv4(pair, { source: '127.0.0.5' }),
    lost: vanished,
  },
  {
    name: 'another host has our address',
    cause: 'own-source-address',
    confidence: { bpf: 'likely', tracefs: 'possible' },
    alone: ALONE,
    traffic: (pair) => sendIpv4(pair, { source: RECEIVER }),
    lost: vanished,
  },
  {
    name: 'wrong checksum in the IP header',
    cause: 'ip-header-errors',
    confidence: 'certain',
    traffic: (pair) => sendIpv4(pair, { wrongChecksum: true }),
    lost: ({ b }) => nstat(b, 'IpExtInCsumErrors'),
  },
  {
    name: 'packets shorter than their header says',
    cause: 'ip-header-errors',
    confidence: 'certain',
    traffic: (pair) => sendIpv4(pair, { missingBytes: 100 }),
    lost: ({ b }) => nstat(b, 'IpExtInTruncatedPkts'),
  },
  {
    name: 'routing loop between two hosts',
    cause: 'ip-ttl-exceeded',
    confidence: 'likely',
    lookup: `the way on to ${FAR} is ${SENDER} on vb, the interface these packets came in by`,
    async setUp(pair) {
      await forwarding(pair);
      await inside(pair.b, `ip route add ${FAR} via ${SENDER}`);
      await inside(pair.b, `ip route add ${ELSEWHERE} via ${SENDER}`);
      await inside(pair.a, `ip route add ${FAR} via ${RECEIVER}`);
      await inside(pair.a, 'sysctl -qw net.ipv4.ip_forward=1');
    },
    // An odd number of hops, so that the last of them is the receiver.
    traffic: (pair) => sendIpv4(pair, { source: ELSEWHERE, destination: FAR, ttl: 9 }),
    lost: ({ b }) => nstat(b, 'IpInHdrErrors'),
  },
  {
    name: 'forwarding off on a host that does NAT',
    cause: 'forwarding-disabled',
    confidence: 'likely',
    async setUp(pair) {
      await networkBehind(pair);
      await nft(
        pair.b,
        'table ip nat { chain p { type nat hook postrouting priority 100; oifname "other" masquerade; }; }',
      );
    },
    traffic: (pair) => sendIpv4(pair, { destination: FAR }),
    lost: ({ b }) => nstat(b, 'IpInAddrErrors'),
    cure: { fix: 'forwarding-disabled', capture: 'tracefs' },
  },
  {
    name: 'router without a route',
    cause: 'no-route-in',
    confidence: 'certain',
    lookup: 'tables looked in: local, main, default',
    setUp: forwarding,
    traffic: (pair) => sendIpv4(pair, { destination: FAR }),
    lost: ({ b }) => nstat(b, 'IpExtInNoRoutes'),
  },
  {
    name: 'program without a route',
    cause: 'no-route-out',
    confidence: 'certain',
    interface: null,
    traffic: ({ b }) => sendUdp({ from: b, to: FAR, port: PORT, packets: PACKETS, perSecond: 400 }),
    lost: ({ b }) => nstat(b, 'IpOutNoRoutes'),
  },
  {
    ...refusingRoute,
    name: 'blackhole route',
    lookup: 'the route "blackhole 198.51.100.0/24" says so',
    async setUp(pair) {
      await forwarding(pair);
      await inside(pair.b, 'ip route add blackhole 198.51.100.0/24');
      // Not it: of other senders, in a table that is not looked up, and shorter.
      await inside(pair.b, `ip rule add priority 100 from ${ELSEWHERE} blackhole`);
      await inside(pair.b, `ip route add blackhole ${FAR} table 7`);
      await inside(pair.b, 'ip route add blackhole 198.51.0.0/16');
    },
  },
  {
    ...refusingRoute,
    name: 'policy rule that prohibits',
    lookup: `the rule "100: from ${SENDER} prohibit" says so`,
    async setUp(pair) {
      await forwarding(pair);
      await inside(pair.b, `ip rule add priority 100 from ${SENDER} prohibit`);
      // Not it: the kernel does not come to it.
      await inside(pair.b, `ip route add prohibit ${FAR}`);
    },
  },
  {
    ...refusingRoute,
    name: 'blackhole route of IPv6',
    lookup: 'the route "blackhole 2001:db8:1::/48" says so',
    async setUp(pair) {
      await sysctl(pair, 'net.ipv6.conf.all.forwarding=1');
      await inside(pair.b, 'ip -6 route add blackhole 2001:db8:1::/48');
    },
    traffic: (pair) =>
      sendPackets(
        pair,
        ipv6({ source: SENDER6, destination: FAR6, nextHeader: 59, payload: '00'.repeat(8) }),
      ),
    lost: (pair) => vanished(pair, 'Ip6'),
  },
  {
    name: 'packets too big, and a sender that does not listen',
    cause: 'pmtu-blackhole',
    confidence: 'likely',
    async setUp(pair) {
      await forwarding(pair);
      await networkBehind(pair, 1000);
    },
    traffic: (pair) => sendIpv4(pair, { destination: FAR, fragment: 0x4000, payloadBytes: 1200 }),
    lost: ({ b }) => nstat(b, 'IpFragFails'),
  },
  {
    name: 'fragments lost on the way',
    cause: 'ip-frag-timeout',
    confidence: 'certain',
    setUp: (pair) => sysctl(pair, 'net.ipv4.ipfrag_time=1'),
    async traffic(pair) {
      const before = await nstat(pair.b, 'IpReasmTimeout');
      await sendPackets(pair, ...fragments(PACKETS, false));
      await until(async () => (await nstat(pair.b, 'IpReasmTimeout')) >= before + PACKETS);
    },
    lost: ({ b }) => nstat(b, 'IpReasmTimeout'),
  },
  {
    name: 'no memory for fragments',
    cause: 'ip-frag-memory',
    confidence: 'certain',
    setUp: (pair) =>
      sysctl(
        pair,
        'net.ipv4.ipfrag_low_thresh=3000',
        'net.ipv4.ipfrag_high_thresh=4000',
        // The last fragments come after many other datagrams.
        'net.ipv4.ipfrag_max_dist=0',
      ),
    traffic: (pair) => sendPackets(pair, ...fragments(PACKETS / 2, true)),
    lost: async ({ b }) => (await nstat(b, 'IpReasmFails')) - (await nstat(b, 'IpReasmTimeout')),
    cure: { fix: 'ip-frag-memory', capture: 'bpf' },
  },
  {
    name: 'packets for this host in broadcast frames, which a setting refuses',
    cause: 'unicast-in-l2-multicast',
    confidence: { bpf: 'certain', tracefs: 'possible' },
    alone: ALONE,
    setUp: (pair) => sysctl(pair, 'net.ipv4.conf.vb.drop_unicast_in_l2_multicast=1'),
    async traffic(pair) {
      const addresses = await frameAddresses(pair);
      const packet = ipv4({ source: SENDER, destination: RECEIVER });
      await sendFrames(pair.a, 'va', PACKETS, `${'ff'.repeat(6)}${addresses.slice(12)}${packet}`);
    },
    lost: vanished,
  },
  {
    name: 'GRE, and nothing that handles it',
    cause: 'ip-unknown-proto',
    confidence: 'certain',
    traffic: (pair) => sendIpv4(pair, { protocol: 47 }),
    lost: ({ b }) => nstat(b, 'IpInUnknownProtos'),
  },
  {
    name: 'neighbour discovery from beyond a router',
    cause: 'ipv6-ndisc-reject',
    confidence: { bpf: 'certain', tracefs: 'likely' },
    setUp: ({ b }) => inside(b, 'ip addr add fd00::2/64 dev vb nodad'),
    traffic: (pair) =>
      sendPackets(
        pair,
        ipv6({
          source: SENDER6,
          destination: RECEIVER6,
          hopLimit: 64,
          nextHeader: 58,
          payload: `8700000000000000${RECEIVER6}`,
        }),
      ),
    lost: ({ b }) => nstat(b, 'Icmp6InNeighborSolicits'),
  },
  {
    name: 'IPsec policy, and packets without protection',
    cause: 'xfrm-policy',
    confidence: 'certain',
    async setUp(pair) {
      await serve(pair, 'reads');
      await inside(
        pair.b,
        `ip xfrm policy add src ${SENDER} dst ${RECEIVER} dir in tmpl proto esp mode transport`,
      );
    },
    traffic: steady,
    lost: (pair) => xfrmStat(pair, 'XfrmInTmplMismatch'),
  },
  {
    name: 'IPsec policy that blocks what programs send',
    cause: 'xfrm-policy',
    confidence: 'certain',
    interface: null,
    setUp: ({ b }) =>
      inside(b, `ip xfrm policy add src ${RECEIVER} dst ${SENDER} dir out action block`),
    traffic: ({ b }) =>
      sendUdp({ from: b, to: SENDER, port: PORT, packets: PACKETS, perSecond: 400 }),
    lost: (pair) => xfrmStat(pair, 'XfrmOutPolBlock'),
  },
] satisfies readonly Fault[];
