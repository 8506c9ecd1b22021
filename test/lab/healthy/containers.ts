import { HTTP_CLIENTS, HTTP_SERVER, KNOCKS, UDP_ECHO, UDP_QUERIES } from '../healthy-programs.ts';
import { client, httpRequests, ping, server, SHORT_MS } from '../healthy-traffic.ts';
import { addHost, CleanUp, inside, SENDER, type Pair } from '../network.ts';
import type { Done, Workload } from '../workload.ts';

async function containerBridge(host: string): Promise<void> {
  await inside(host, 'ip link add br0 type bridge');
  await inside(host, 'ip addr add 10.88.0.1/24 dev br0');
  await inside(host, 'ip link set br0 up');
}

/** What a container engine does: a namespace, a veth to the bridge, addresses. */
async function addContainer(cleanUp: CleanUp, host: string, number: number): Promise<string> {
  const container = await addHost(cleanUp, host, `c${number}`);
  await inside(host, `ip link set c${number} master br0`);
  await inside(container, `ip addr add 10.88.0.${number + 2}/24 dev eth0`);
  await inside(container, `ip addr add fd88::${number + 2}/64 dev eth0`);
  await inside(container, 'ip route add default via 10.88.0.1');
  return container;
}

/** A container does a short job, and all of it goes. @returns HTTP answers */
async function containerRun(host: string, number: number): Promise<number> {
  const cleanUp = new CleanUp();
  try {
    const container = await addContainer(cleanUp, host, number);
    const replies = await ping(container, '-c 2 -i 0.05 10.88.0.1');
    return replies > 0 ? await client(container, 'node', HTTP_CLIENTS, '10.88.0.1', 8080, 100) : 0;
  } finally {
    await cleanUp.run();
  }
}

/**
 * As Docker 28 writes them for one published port, 8080 to port 80 of the first container; and the rule of
 * kube-proxy against what conntrack takes for invalid, which meets late segments.
 */
const PUBLISHED_PORT = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 10.88.0.0/24 ! -o br0 -j MASQUERADE
-A DOCKER ! -i br0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.88.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br0 -j DOCKER
-A FORWARD -i br0 ! -o br0 -j ACCEPT
-A FORWARD -i br0 -o br0 -j ACCEPT
-A DOCKER -d 10.88.0.2/32 ! -i br0 -o br0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i br0 -o br0 -j DROP
-A DOCKER-ISOLATION-STAGE-1 -i br0 ! -o br0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o br0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
`;

async function containerHost(pair: Pair): Promise<void> {
  const { a, b, cleanUp } = pair;
  await containerBridge(b);
  await inside(b, 'sysctl -qw net.ipv4.ip_forward=1');
  // Built in or loaded: then bridged packets meet the rules, too, as engines set it.
  await inside(b, 'sysctl -qew net.bridge.bridge-nf-call-iptables=1');
  await inside(b, 'iptables-nft-restore', PUBLISHED_PORT);
  await inside(a, 'ip route add 10.88.0.0/24 via 10.77.0.2');
  const web = await addContainer(cleanUp, b, 0);
  await addContainer(cleanUp, b, 1);
  await server(pair, web, 'node', HTTP_SERVER, 80);
  await server(pair, a, 'node', UDP_ECHO, 5300);
}

/** In by the published port, out by masquerading, from one to the other; somebody knocks at what is not published. */
async function containerTraffic(pair: Pair): Promise<readonly Done[]> {
  const other = `${pair.b}c1`;
  const [published, answers, between, knocks] = await Promise.all([
    httpRequests(pair, SHORT_MS),
    client(other, 'node', UDP_QUERIES, SENDER, 5300, SHORT_MS),
    client(other, 'node', HTTP_CLIENTS, '10.88.0.2', 80, SHORT_MS),
    client(pair.a, 'node', KNOCKS, '10.88.0.2', 8, SHORT_MS),
  ]);
  return [
    published,
    { count: answers, what: 'UDP answers to a container', atLeast: 25 },
    { count: between, what: 'HTTP answers between containers', atLeast: 10 },
    { count: knocks, what: 'knocks', atLeast: 5 },
  ];
}

export default [
  {
    name: 'containers start and stop on a bridge',
    async setUp(pair) {
      await containerBridge(pair.b);
      await server(pair, pair.b, 'node', HTTP_SERVER, 8080);
    },
    async traffic({ b }) {
      let count = 0;
      for (let number = 0; number < 6; number++) count += await containerRun(b, number);
      return { count, what: 'HTTP answers to containers', atLeast: 30 };
    },
  },
  {
    name: 'a container host: iptables rules of an engine, a published port',
    setUp: containerHost,
    traffic: containerTraffic,
  },
] satisfies readonly Workload[];
