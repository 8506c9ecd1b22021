import { inside, RECEIVER } from '../network.ts';
import type { Fault } from '../fault.ts';
import { runPerl, serve, startPerl, steady } from '../traffic.ts';

/** Listens to changes of interfaces and addresses, and never reads. */
const DEAF = `
use strict;
socket(my $s, 16, 3, 0) or die $!;
setsockopt($s, 1, 8, 2048);
bind($s, pack('SSLL', 16, 0, 0, 0x11)) or die $!;
$| = 1; print "ready\\n"; sleep(100) while 1;
`;

/** A raw socket for ICMP that never reads. */
const RAW = `
use strict; use Socket;
socket(my $s, PF_INET, SOCK_RAW, 1) or die $!;
setsockopt($s, SOL_SOCKET, SO_RCVBUF, 4096);
$| = 1; print "ready\\n"; sleep(100) while 1;
`;

/** A capture of IPv4 packets that never reads: interfaces that come up announce themselves by IPv6, at any time. */
const CAPTURE = `
use strict;
socket(my $s, 17, 3, unpack('n', pack('S', 0x0800))) or die $!;
setsockopt($s, 1, 8, 4096);
$| = 1; print "ready\\n"; sleep(100) while 1;
`;

/** Echo requests, faster than ping sends them. */
const PINGS = `
use strict; use Socket;
my ($to, $packets) = @ARGV;
socket(my $s, PF_INET, SOCK_RAW, 1) or die $!;
for (1 .. $packets) { my $echo = pack('CCnnn', 8, 0, 0, 7, $_);
  my $sum = unpack('%32n*', $echo); substr($echo, 2, 2) = pack('n', ~(($sum >> 16) + $sum) & 0xffff);
  send($s, $echo, 0, sockaddr_in(0, inet_aton($to))) or die $!; select(undef, undef, undef, 0.001) }
`;

export default [
  {
    name: 'netlink: a program that does not read what the kernel tells',
    cause: 'netlink-overrun',
    confidence: 'certain',
    copies: true,
    interface: null,
    async setUp({ b, cleanUp }) {
      const daemon = await startPerl(b, DEAF, []);
      cleanUp.add(() => daemon.stop());
    },
    traffic: ({ b }) =>
      inside(
        b,
        'ip -batch -',
        Array.from({ length: 100 }, (_, index) => `addr add 10.78.0.${index + 1}/32 dev vb\n`).join(
          '',
        ),
      ),
    lost: async ({ b }) => {
      const text = await inside(b, 'cat /proc/net/netlink');
      return Math.max(
        ...text
          .trim()
          .split('\n')
          .slice(1)
          .map((line) => Number(line.trim().split(/\s+/)[8])),
      );
    },
  },
  {
    name: 'raw socket: a program that does not read',
    cause: 'raw-or-packet-socket-full',
    confidence: 'certain',
    copies: true,
    interface: null,
    async setUp({ b, cleanUp }) {
      const daemon = await startPerl(b, RAW, []);
      cleanUp.add(() => daemon.stop());
    },
    traffic: ({ a }) => runPerl(a, PINGS, [RECEIVER, '200']),
    lost: async ({ b }) =>
      Number((await inside(b, 'cat /proc/net/raw')).trim().split(/\s+/).at(-1)),
  },
  {
    name: 'capture: a program that does not read',
    cause: 'raw-or-packet-socket-full',
    confidence: 'certain',
    copies: true,
    interface: null,
    async setUp(pair) {
      const capture = await startPerl(pair.b, CAPTURE, []);
      pair.cleanUp.add(() => capture.stop());
      await serve(pair, 'reads');
    },
    traffic: steady,
    lost: async ({ b }) =>
      Number(/,d(\d+)\)/.exec(await inside(b, 'ss -H0anm'))?.[1] ?? Number.NaN),
  },
] satisfies readonly Fault[];
