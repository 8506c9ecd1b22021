/**
 * Clients and servers of healthy workloads. Each client ends by itself and prints one number: how
 * much of its work was answered. Servers print `ready` and run until they are killed.
 */

/** Counts what it receives on each connection, and says so when the sender is done. */
export const TCP_SINK = `
require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  let bytes = 0;
  socket.on('data', (chunk) => { bytes += chunk.length; });
  socket.on('end', () => socket.end(String(bytes)));
  socket.on('error', () => {});
}).listen(Number(process.argv[1]), () => console.log('ready'));
`;

/** Four streams at full speed for some milliseconds. Prints the bytes that the other side received. */
export const TCP_STREAMS = `
const [host, port, ms] = process.argv.slice(1);
const chunk = Buffer.alloc(65536);
const stream = () => new Promise((resolve, reject) => {
  const socket = require('node:net').connect({ host, port: Number(port) });
  const until = Date.now() + Number(ms);
  let answer = '';
  const write = () => {
    while (Date.now() < until) if (!socket.write(chunk)) return;
    socket.removeAllListeners('drain');
    socket.end();
  };
  socket.on('connect', write).on('drain', write).on('error', reject);
  socket.on('data', (text) => { answer += text; }).on('end', () => resolve(Number(answer)));
});
Promise.all([stream(), stream(), stream(), stream()])
  .then((all) => console.log(all.reduce((sum, bytes) => sum + bytes, 0)));
`;

export const HTTP_SERVER = `
const page = Buffer.alloc(100000, 'x');
require('node:http').createServer((request, response) => { response.end(page); })
  .listen(Number(process.argv[1]), () => console.log('ready'));
`;

/** A new connection for each request; every tenth client goes away at the first bytes. Prints whole answers. */
export const HTTP_CLIENTS = `
const [host, port, ms] = process.argv.slice(1);
const until = Date.now() + Number(ms);
let answers = 0;
let requests = 0;
const one = () => new Promise((resolve) => {
  const aborts = requests++ % 10 === 9;
  const request = require('node:http').get({ host, port, agent: false }, (response) => {
    response.on('data', () => { if (aborts) request.destroy(); });
    response.on('end', () => { answers++; }).on('close', resolve).on('error', () => {});
  });
  request.on('error', resolve);
});
const client = async () => { while (Date.now() < until) await one(); };
Promise.all([client(), client(), client(), client()]).then(() => console.log(answers));
`;

export const UDP_ECHO = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (message, { port, address }) => { socket.send(message, port, address); });
socket.bind(Number(process.argv[1]), () => console.log('ready'));
`;

/**
 * Each query from a socket of its own, as resolvers do it; every twentieth does not wait for the answer,
 * which then finds nobody. Prints the answers.
 */
export const UDP_QUERIES = `
const [host, port, ms] = process.argv.slice(1);
const dgram = require('node:dgram');
const until = Date.now() + Number(ms);
let answers = 0;
let queries = 0;
const one = () => new Promise((resolve) => {
  const hurries = queries++ % 20 === 19;
  const socket = dgram.createSocket('udp4');
  const timer = setTimeout(() => { socket.close(); resolve(); }, 500);
  const done = () => { clearTimeout(timer); socket.close(); resolve(); };
  socket.on('message', () => { answers++; done(); });
  socket.send('query', Number(port), host, () => { if (hurries) done(); });
});
const client = async () => {
  while (Date.now() < until) { await one(); await new Promise((resolve) => setTimeout(resolve, 2)); }
};
Promise.all([client(), client()]).then(() => console.log(answers));
`;

/** Joins 224.0.0.251 and reads 5353, as an mDNS responder does. Prints how much it got when told to end. */
export const MDNS_LISTENER = `
const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
let received = 0;
socket.on('message', () => { received++; });
process.on('SIGTERM', () => { console.log(received); process.exit(0); });
socket.bind(5353, () => { socket.addMembership('224.0.0.251', process.argv[1]); console.log('ready'); });
`;

/**
 * A desktop on the same network: mDNS, SSDP, a group nobody here wants, broadcasts, IPv6 groups, and
 * memberships that come and go (IGMP, MLD). Prints how often it announced itself by mDNS.
 */
export const CHATTER = `
const [address, broadcast, ms] = process.argv.slice(1);
const dgram = require('node:dgram');
const until = Date.now() + Number(ms);
const v4 = dgram.createSocket('udp4');
const v6 = dgram.createSocket('udp6');
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const bound = (socket) => new Promise((resolve) => socket.bind(0, resolve));
(async () => {
  await bound(v4); await bound(v6);
  v4.setBroadcast(true); v4.setMulticastInterface(address); v6.setMulticastInterface('::%va');
  let announced = 0;
  while (Date.now() < until) {
    v4.send('mdns', 5353, '224.0.0.251'); announced++;
    v4.send('ssdp', 1900, '239.255.255.250');
    v4.send('unknown', 4000, '239.1.2.3');
    v4.send('dhcp', 67, broadcast);
    v6.send('mdns', 5353, 'ff02::fb%va');
    v6.send('all nodes', 1900, 'ff02::1%va');
    v4.addMembership('239.4.5.6', address); v6.addMembership('ff02::1234', '::%va');
    await pause(50);
    v4.dropMembership('239.4.5.6', address); v6.dropMembership('ff02::1234', '::%va');
    await pause(50);
  }
  console.log(announced);
  process.exit(0);
})();
`;

/** Knocks at closed ports, by TCP and by UDP, some times a second. Prints how often it tried. */
export const KNOCKS = `
const [host, perSecond, ms] = process.argv.slice(1);
const until = Date.now() + Number(ms);
const udp = require('node:dgram').createSocket('udp4');
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
(async () => {
  let knocks = 0;
  while (Date.now() < until) {
    const port = 20000 + knocks * 7;
    const tcp = require('node:net').connect({ host, port });
    tcp.on('error', () => {});
    setTimeout(() => tcp.destroy(), 300);
    udp.send('knock', port, host);
    knocks += 2;
    await pause(2000 / Number(perSecond));
  }
  await pause(300);
  console.log(knocks);
  process.exit(0);
})();
`;

/** Opens local sockets and closes them with data that nobody read, as programs that end do. Prints how many. */
export const UNREAD = `
use strict; use Socket; my ($port, $rounds) = @ARGV; my $closed = 0;
for (1 .. $rounds) {
  socketpair(my $p, my $q, AF_UNIX, SOCK_STREAM, 0) or die $!; syswrite($p, 'x' x 100); close($q); close($p);
  socket(my $r, PF_INET, SOCK_DGRAM, 0) or die $!; bind($r, sockaddr_in($port, INADDR_LOOPBACK)) or die $!;
  socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
  send($s, 'unread', 0, sockaddr_in($port, INADDR_LOOPBACK)) or die $! for 1 .. 3;
  close($r); close($s); $closed++;
  select(undef, undef, undef, 0.02);
}
print "$closed\\n";
`;

/**
 * A service that works off what has come whenever it is told to, at PORT + 1; by then its queue is nearly full.
 * Prints how many datagrams it got in all.
 */
export const BATCH_SERVICE = `
use strict; use Socket; my ($port) = @ARGV; my $received = 0;
my $open = sub { my $p = shift; socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
  bind($s, sockaddr_in($p, INADDR_ANY)) or die $!; return $s };
my ($jobs, $calls) = ($open->($port), $open->($port + 1));
$| = 1; print "ready\\n";
while (my $from = recv($calls, my $call, 100, 0)) {
  select(undef, undef, undef, 0.15);
  while (defined recv($jobs, my $job, 2000, 0x40)) { $received++ }
  send($calls, $received, 0, $from) or die $!;
}
`;

/** Gives it batches of so many datagrams, each when the one before is done. Prints how many it got. */
export const BATCHES = `
use strict; use Socket; my ($host, $port, $batches, $size) = @ARGV; my $answer = 0;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
my ($jobs, $calls) = map { scalar(sockaddr_in($_, inet_aton($host))) } $port, $port + 1;
for (1 .. $batches) {
  for (1 .. $size) { defined(send($s, 'x' x 500, 0, $jobs)) or die $! }
  send($s, 'call', 0, $calls) and recv($s, $answer, 100, 0) or die $!;
}
print "$answer\\n";
`;

/**
 * One end of a VPN: what is sent into tun0 goes to the other end by UDP, and the other way round. Prints how many
 * packets went through when told to end.
 */
export const VPN = `
use strict; use Socket; my ($port, $peer) = @ARGV; my $passed = 0;
open(my $tun, '+<', '/dev/net/tun') or die $!;
my $request = pack('a16 S x22', 'tun0', 0x1001);
ioctl($tun, 0x400454ca, $request) or die $!;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
setsockopt($s, SOL_SOCKET, 33, 4194304) or die $!; # SO_RCVBUFFORCE, as VPN programs are told to
bind($s, sockaddr_in($port, INADDR_ANY)) or die $!;
my $to = sockaddr_in($port, inet_aton($peer));
$SIG{TERM} = sub { print "$passed\\n"; exit 0 };
$| = 1; print "ready\\n";
while (1) {
  my $both = ''; vec($both, $_, 1) = 1 for fileno($tun), fileno($s);
  select($both, undef, undef, undef);
  if (vec($both, fileno($tun), 1)) { sysread($tun, my $packet, 2000); send($s, $packet, 0, $to); $passed++ }
  if (vec($both, fileno($s), 1)) { recv($s, my $packet, 2000, 0); syswrite($tun, $packet); $passed++ }
}
`;
