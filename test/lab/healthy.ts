import { run, start } from './command.ts';
import {
  CHATTER,
  HTTP_CLIENTS,
  HTTP_SERVER,
  KNOCKS,
  MDNS_LISTENER,
  TCP_SINK,
  TCP_STREAMS,
  UDP_ECHO,
  UDP_QUERIES,
  UNREAD,
} from './healthy-programs.ts';
import { inside, macOf, RECEIVER, SENDER, type Pair } from './network.ts';
import { sendFrames } from './traffic.ts';

/** Normal work of a host, of which whydrop must not say a word of alarm. */
export interface Workload {
  readonly name: string;
  /** Servers, rules and settings that are there before whydrop looks. */
  setUp?(pair: Pair): Promise<unknown>;
  /** Some seconds of traffic. @returns what got through, counted by the programs themselves. */
  traffic(pair: Pair): Promise<Done>;
}

export interface Done {
  readonly count: number;
  readonly what: string;
  /** Less would be no workload to speak of: the test itself would be broken. */
  readonly atLeast: number;
}

const TRAFFIC_MS = 3000;

/** Runs `node -e` or `perl -e` in a namespace to its end. @returns the number it printed last */
async function client(
  netns: string,
  interpreter: 'node' | 'perl',
  program: string,
  ...args: readonly (string | number)[]
): Promise<number> {
  const child = startProgram(netns, interpreter, program, args);
  const { stdout, stderr, exitCode } = await child;
  if (exitCode !== 0) throw new Error(`a client failed: ${stderr}`);
  return Number(stdout.trim().split('\n').at(-1));
}

/** @returns what it has printed by then */
type Stop = () => Promise<string>;

/** Starts a server in a namespace; resolves when it says `ready`. The pair's clean-up stops it. */
async function server(
  { cleanUp }: Pair,
  netns: string,
  program: string,
  ...args: readonly (string | number)[]
): Promise<Stop> {
  const child = startProgram(netns, 'node', program, args);
  const stop = async (): Promise<string> => {
    child.kill('SIGTERM');
    const { stdout } = await child;
    return stdout;
  };
  cleanUp.add(stop);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('a server did not start')));
  });
  return stop;
}

function startProgram(
  netns: string,
  interpreter: 'node' | 'perl',
  program: string,
  args: readonly (string | number)[],
) {
  return start('ip', ['netns', 'exec', netns, interpreter, '-e', program, ...args.map(String)]);
}

async function waitMs(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Whole HTTP answers, one connection each. */
async function httpRequests({ a }: Pair): Promise<Done> {
  const count = await client(a, 'node', HTTP_CLIENTS, RECEIVER, 8080, TRAFFIC_MS);
  return { count, what: 'HTTP answers', atLeast: 200 };
}

/** Replies that `ping` counted. */
async function ping(netns: string, options: string): Promise<number> {
  const text = await inside(netns, `ping -q ${options}`);
  return Number(/(\d+) received/.exec(text)?.[1] ?? Number.NaN);
}

async function rxPackets(netns: string, iface: string): Promise<number> {
  return Number(await inside(netns, `cat /sys/class/net/${iface}/statistics/rx_packets`));
}

/** LLDP, LACP, PTP, spanning tree and CDP as a switch sends them, without source address and padding. */
const SWITCH_FRAMES = [
  { to: '0180c200000e', rest: '88cc0207040102030405060403020701060200780000' },
  { to: '0180c2000002', rest: '88090101' },
  { to: '011b19000000', rest: '88f70002' },
  { to: '0180c2000000', rest: '002642420300000000008000' },
  { to: '01000ccccccc', rest: '0030aaaa0300000c200002b4' },
];
const SWITCH_ROUNDS = 50;

async function switchChatter({ a, b }: Pair): Promise<Done> {
  const before = await rxPackets(b, 'vb');
  const from = (await macOf(a, 'va')).replaceAll(':', '');
  for (const { to, rest } of SWITCH_FRAMES) {
    await sendFrames(a, 'va', SWITCH_ROUNDS, `${to}${from}${rest}${'00'.repeat(46)}`);
  }
  const count = (await rxPackets(b, 'vb')) - before;
  return { count, what: 'frames received', atLeast: SWITCH_FRAMES.length * SWITCH_ROUNDS };
}

/** What a container engine does: a namespace, a veth to a bridge, addresses, a short job, and all gone. */
async function containerRun(host: string, number: number): Promise<number> {
  const name = `${host}c${number}`;
  await run(`ip netns add ${name}`);
  try {
    await run(`ip -n ${name} link set lo up`);
    await run(`ip -n ${host} link add c${number} type veth peer name eth0 netns ${name}`);
    await run(`ip -n ${host} link set c${number} master br0 up`);
    await run(`ip -n ${name} addr add 10.88.0.${number + 2}/24 dev eth0`);
    await run(`ip -n ${name} addr add fd88::${number + 2}/64 dev eth0`);
    await run(`ip -n ${name} link set eth0 up`);
    await run(`ip -n ${name} route add default via 10.88.0.1`);
    const replies = await ping(name, '-c 2 -i 0.05 10.88.0.1');
    return replies > 0 ? await client(name, 'node', HTTP_CLIENTS, '10.88.0.1', 8080, 100) : 0;
  } finally {
    await run(`ip netns del ${name}`);
  }
}

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
async function behindFirewall(pair: Pair): Promise<Done> {
  const [done, knocks] = await Promise.all([
    httpRequests(pair),
    client(pair.a, 'node', KNOCKS, RECEIVER, 4, TRAFFIC_MS),
  ]);
  return knocks < 10 ? { count: knocks, what: 'knocks', atLeast: 10 } : done;
}

export const workloads: readonly Workload[] = [
  {
    name: 'bulk TCP, four streams',
    setUp: (pair) => server(pair, pair.b, TCP_SINK, 7000),
    async traffic({ a }) {
      const count = await client(a, 'node', TCP_STREAMS, RECEIVER, 7000, TRAFFIC_MS);
      return { count, what: 'bytes received', atLeast: 50_000_000 };
    },
  },
  {
    name: 'many short HTTP requests, some clients go away',
    setUp: (pair) => server(pair, pair.b, HTTP_SERVER, 8080),
    traffic: httpRequests,
  },
  {
    name: 'ping, several at a time, IPv4 and IPv6, as root and not',
    async traffic({ a, b }) {
      const counts = await Promise.all([
        ping(a, `-c 60 -i 0.05 ${RECEIVER}`),
        ping(a, `-c 30 -i 0.1 -s 1400 ${RECEIVER}`),
        // In fragments, which are freed one by one.
        ping(a, `-c 30 -i 0.1 -s 8000 ${RECEIVER}`),
        ping(b, `-c 30 -i 0.1 ${SENDER}`),
        ping(a, '-c 30 -i 0.1 -6 ff02::1%va'),
      ]);
      return {
        count: counts.reduce((sum, replies) => sum + replies, 0),
        what: 'replies to ping',
        // Of IPv6 only once duplicate address detection is through, a second or two after the start.
        atLeast: 150,
      };
    },
  },
  {
    name: 'UDP requests and answers, a socket for each, some do not wait',
    setUp: (pair) => server(pair, pair.b, UDP_ECHO, 5300),
    async traffic({ a }) {
      const count = await client(a, 'node', UDP_QUERIES, RECEIVER, 5300, TRAFFIC_MS);
      return { count, what: 'answers', atLeast: 300 };
    },
  },
  {
    name: 'a switch announces itself: LLDP, LACP, PTP, spanning tree, CDP',
    traffic: switchChatter,
  },
  {
    name: 'containers start and stop on a bridge',
    async setUp(pair) {
      await inside(pair.b, 'ip link add br0 type bridge');
      await inside(pair.b, 'ip addr add 10.88.0.1/24 dev br0');
      await inside(pair.b, 'ip link set br0 up');
      await server(pair, pair.b, HTTP_SERVER, 8080);
    },
    async traffic({ b }) {
      let count = 0;
      for (let number = 0; number < 6; number++) count += await containerRun(b, number);
      return { count, what: 'HTTP answers to containers', atLeast: 30 };
    },
  },
  {
    name: 'an idle host: programs start and end, nothing else',
    async traffic() {
      const begin = Date.now();
      await waitMs(TRAFFIC_MS);
      return { count: Date.now() - begin, what: 'milliseconds', atLeast: TRAFFIC_MS - 50 };
    },
  },
  {
    name: 'a firewall (nftables, policy drop) refuses the noise of the Internet',
    async setUp(pair) {
      await inside(pair.b, 'nft -f -', FIREWALL);
      await server(pair, pair.b, HTTP_SERVER, 8080);
    },
    traffic: behindFirewall,
  },
  {
    name: 'a firewall (iptables) refuses the noise of the Internet',
    async setUp(pair) {
      for (const rule of IPTABLES) await inside(pair.b, `iptables-nft ${rule}`);
      await server(pair, pair.b, HTTP_SERVER, 8080);
    },
    traffic: behindFirewall,
  },
  {
    name: 'multicast and broadcast of neighbours, memberships that come and go',
    async traffic(pair) {
      const stop = await server(pair, pair.b, MDNS_LISTENER, RECEIVER);
      await client(pair.a, 'node', CHATTER, SENDER, '10.77.0.255', TRAFFIC_MS);
      const count = Number((await stop()).trim().split('\n').at(-1));
      return { count, what: 'mDNS announcements received', atLeast: 15 };
    },
  },
  {
    name: 'somebody tries ports that nobody listens on',
    async traffic({ a }) {
      const count = await client(a, 'node', KNOCKS, RECEIVER, 100, TRAFFIC_MS);
      return { count, what: 'knocks', atLeast: 100 };
    },
  },
  {
    name: 'a capture runs and ends, programs end without reading all their data',
    async traffic({ b }) {
      const tcpdump = inside(b, 'timeout 2 tcpdump -qni any -w /dev/null').catch(() => '');
      const count = await client(b, 'perl', UNREAD, 6000, 100);
      await tcpdump;
      return { count, what: 'sockets closed', atLeast: 100 };
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
        ping(a, '-c 6 -i 0.4 -W 1 -t 1 192.0.2.9').catch(() => 0),
        ping(a, '-c 6 -i 0.4 -W 1 198.51.100.9').catch(() => 0),
      ]);
      return { count: 12 - traced - unrouted, what: 'packets turned away', atLeast: 12 };
    },
  },
];
