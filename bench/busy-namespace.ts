import { once } from 'node:events';
import { inside, type CleanUp } from '../test/lab/network.ts';
import { run } from '../test/lab/command.ts';
import { startChild } from './child.ts';

/** How much there is to read in a namespace. */
export interface Size {
  readonly rules: number;
  readonly interfaces: number;
  readonly udpSockets: number;
  /** One of five waits for connections, the others are connected to each other. */
  readonly tcpSockets: number;
}

let namespaces = 0;

/** Makes a namespace of that size, with nothing wrong in it. @returns its name */
export async function makeBusyNamespace(size: Size, cleanUp: CleanUp): Promise<string> {
  namespaces += 1;
  // The name of a lab's namespace: process id, then a letter.
  const name = `wd${process.pid}busy${namespaces}`;
  await run(`ip netns add ${name}`);
  cleanUp.add(() => run(`ip netns del ${name}`));
  await run(`ip -n ${name} link set lo up`);
  await addInterfaces(name, size.interfaces);
  await addRules(name, size.rules);
  await openSockets(name, size, cleanUp);
  return name;
}

/** Pairs of veth, both ends here, all up. */
async function addInterfaces(netns: string, count: number): Promise<void> {
  const pairs = Array.from({ length: Math.floor(count / 2) }, (_, index) => index);
  // No IPv6: hundreds of links coming up would keep the kernel busy with addresses.
  await inside(netns, 'sysctl -qw net.ipv6.conf.default.disable_ipv6=1');
  const lines = pairs.flatMap((index) => [
    `link add left${index} type veth peer name right${index}`,
    `link set left${index} up`,
    `link set right${index} up`,
    `address add 10.${(index >> 8) + 1}.${index & 255}.1/24 dev left${index}`,
  ]);
  await run(`ip -n ${netns} -batch -`, `${lines.join('\n')}\n`);
}

/** As firewalld, kube-proxy and their like do it. Of one chain the kernel lists 50,000 in quadratic time. */
const RULES_PER_CHAIN = 1000;

/** Nine of ten rules are of nftables, with counters and comments; the rest of iptables-legacy. */
async function addRules(netns: string, count: number): Promise<void> {
  const legacy = Math.floor(count / 10);
  const nft = Array.from({ length: count - legacy }, (_, index) => {
    const verdict = index % 4 === 0 ? 'drop' : 'accept';
    return `ip saddr 10.${index >> 8}.${index & 255}.0/24 tcp dport ${1000 + index} counter ${verdict} comment "rule ${index}"`;
  });
  const chains = Array.from({ length: Math.ceil(nft.length / RULES_PER_CHAIN) }, (_, index) => ({
    name: `part${index}`,
    rules: nft.slice(index * RULES_PER_CHAIN, (index + 1) * RULES_PER_CHAIN),
  }));
  await inside(
    netns,
    'nft -f -',
    [
      'table inet bench {',
      ...chains.map(({ name, rules }) => `chain ${name} {\n${rules.join('\n')}\n}`),
      // Else the connections of a large namespace take minutes to open and to close.
      'chain input { type filter hook input priority 0; policy drop; iif lo accept',
      ...chains.map(({ name }) => `jump ${name}`),
      '}\n}\n',
    ].join('\n'),
  );
  const save = Array.from(
    { length: legacy },
    (_, index) =>
      `-A INPUT -s 172.16.${index & 255}.0/24 -p udp -m udp --dport ${20_000 + index} -j DROP`,
  );
  await inside(
    netns,
    'iptables-legacy-restore',
    ['*filter', ':INPUT ACCEPT [0:0]', '-A INPUT -i lo -j ACCEPT', ...save, 'COMMIT', ''].join(
      '\n',
    ),
  );
}

const HOLDER = `
use strict; use Socket;
my ($address, $udp, $listeners, $connections) = @ARGV;
my @sockets;
sub opened { my ($type, $port) = @_;
  socket(my $s, PF_INET, $type, 0) or die "socket: $!";
  bind($s, sockaddr_in($port, inet_aton($address))) or die "bind: $!";
  push @sockets, $s;
  return $s;
}
opened(SOCK_DGRAM, 10000 + $_) for 1 .. $udp;
listen(opened(SOCK_STREAM, 10000 + $_), 5) or die "listen: $!" for 1 .. $listeners;
my $server = $sockets[-1];
for (1 .. $connections) {
  connect(opened(SOCK_STREAM, 0), getsockname($server)) or die "connect: $!";
  accept(my $s, $server) or die "accept: $!";
  push @sockets, $s;
}
$| = 1; print "ready\\n";
sysread(STDIN, my $end, 1);
`;

/** Hard limits on open files are often 20,000. */
const SOCKETS_PER_PROGRAM = 5000;

/** Programs that hold sockets open; they end with us, as their input does. */
async function openSockets(
  netns: string,
  { udpSockets, tcpSockets }: Size,
  cleanUp: CleanUp,
): Promise<void> {
  const programs = Math.ceil((udpSockets + tcpSockets) / SOCKETS_PER_PROGRAM);
  const limit = `--nofile=${SOCKETS_PER_PROGRAM + 100}`;
  for (let program = 0; program < programs; program += 1) {
    const counts = [udpSockets, tcpSockets / 5, (tcpSockets * 2) / 5].map((count) =>
      String(Math.floor(count / programs)),
    );
    // An address of its own for each, which has all ports.
    const args = ['perl', '-e', HOLDER, `127.0.${program + 1}.1`, ...counts];
    const child = startChild('ip', ['netns', 'exec', netns, 'prlimit', limit, ...args]);
    child.stderr.on('data', (text: Buffer) => process.stderr.write(text));
    const ended = once(child, 'exit');
    cleanUp.add(async () => {
      child.stdin.end();
      await ended;
    });
    await Promise.race([
      once(child.stdout, 'data'),
      ended.then(() => Promise.reject(new Error('the sockets could not be opened'))),
    ]);
  }
}
