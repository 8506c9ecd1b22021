import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { frameAddresses, inside, RECEIVER, SENDER, setHostWide } from '../network.ts';
import { PORT, runPerl, sendFrames, sendUdp, serve, startPerl, steady } from '../traffic.ts';

/** IPv4 and UDP from 10.77.0.1:1000 to 10.77.0.2:5000, whose checksum is not dead. */
const BAD_CHECKSUM = [
  '0800',
  '4500002800000000401166290a4d00010a4d0002',
  '03e813880014dead',
  '00'.repeat(12),
].join('');

const FILTERED = `
use strict; use Socket;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
# struct sock_fprog with one instruction, "return 0": SO_ATTACH_FILTER.
my $program = pack('SCCL', 0x06, 0, 0, 0);
setsockopt($s, SOL_SOCKET, 26, pack('S x6 P', 1, $program)) or die $!;
bind($s, sockaddr_in(shift, INADDR_ANY)) or die $!;
$| = 1; print "ready\\n"; sleep(100) while 1;
`;

/** Sends to the sender's namespace without waiting, through a slow queue, with a small send buffer. */
const IMPATIENT = `
use strict; use Socket;
my ($to, $port, $packets) = @ARGV;
socket(my $s, PF_INET, SOCK_DGRAM | 0x800, 0) or die $!;
setsockopt($s, SOL_SOCKET, SO_SNDBUF, 4096);
send($s, 'x' x 500, 0, sockaddr_in($port, inet_aton($to))) for 1 .. $packets;
`;
export default [
  {
    name: 'UDP: datagrams with a wrong checksum',
    cause: 'udp-csum-error',
    confidence: 'certain',
    setUp: (pair) => serve(pair, 'reads'),
    traffic: async (pair) =>
      sendFrames(pair.a, 'va', 200, `${await frameAddresses(pair)}${BAD_CHECKSUM}`),
    lost: ({ b }) => nstat(b, 'UdpInCsumErrors'),
  },
  {
    name: 'UDP: a port that nobody listens on',
    cause: 'no-socket-udp',
    confidence: 'possible',
    onlyBpf: true,
    traffic: steady,
    lost: ({ b }) => nstat(b, 'UdpNoPorts'),
  },
  {
    name: 'UDP: a filter on the socket',
    cause: 'socket-filter-drop',
    confidence: 'likely',
    async setUp({ b, cleanUp }) {
      const service = await startPerl(b, FILTERED, [String(PORT)]);
      cleanUp.add(() => service.stop());
    },
    traffic: steady,
    lost: ({ b }) => nstat(b, 'UdpInErrors'),
  },
  {
    name: 'UDP: the memory of all sockets is used up',
    cause: 'udp-mem-exhausted',
    confidence: 'certain',
    alone: 'the limit is host-wide',
    async setUp(pair) {
      await serve(pair, 'stuck', 4_000_000);
      // First the memory (7 MB), then the limit: far below what is in use, because each CPU keeps up to 1 MB that
      // the kernel does not count (net.core.mem_pcpu_rsv).
      await sendUdp({
        from: pair.a,
        to: RECEIVER,
        port: PORT,
        packets: 3000,
        perSecond: 0,
        bytes: 1400,
      });
      await setHostWide(pair.cleanUp, '/proc/sys/net/ipv4/udp_mem', '100 200 300');
    },
    traffic: steady,
    // No counter of the namespace tells (6.18.44); a new socket begins with 0.
    lost: async ({ b }) =>
      Number((await inside(b, 'cat /proc/net/udp')).trim().split(/\s+/).at(-1)),
    cure: {
      fix: 'udp-mem-exhausted',
      capture: 'tracefs',
      restart: (pair) => serve(pair, 'reads'),
    },
  },
  {
    name: 'UDP: a program that sends faster than the line',
    cause: 'udp-sndbuf',
    confidence: 'likely',
    interface: null,
    setUp: ({ b }) => inside(b, 'tc qdisc add dev vb root tbf rate 1mbit burst 2k limit 1000000'),
    traffic: ({ b }) => runPerl(b, IMPATIENT, [SENDER, String(PORT), '300']),
    lost: ({ b }) => nstat(b, 'UdpSndbufErrors'),
  },
] satisfies readonly Fault[];
