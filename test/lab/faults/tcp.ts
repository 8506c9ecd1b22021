import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, setHostWide } from '../network.ts';
import { addPeer, asPeer, connectTcp, holdTcpMemory, PEER, serveTcp } from '../tcp.ts';

const requests = "segment(flags => 'SYN', sport => $_, paced => 1) for 2000 .. 2199;";

export default [
  {
    name: 'TCP: a program that does not accept',
    cause: 'tcp-listen-overflow',
    confidence: 'certain',
    // A request that is ignored leaves no event.
    interface: null,
    setUp: (pair) => serveTcp(pair, { backlog: 2, mode: 'stuck' }),
    traffic: (pair) => connectTcp(pair, 100),
    lost: ({ b }) => nstat(b, 'TcpExtListenOverflows'),
  },
  {
    name: 'TCP: last steps of handshakes find the accept queue full',
    cause: 'tcp-listen-overflow',
    confidence: 'certain',
    async setUp(pair) {
      await addPeer(pair);
      await serveTcp(pair, { backlog: 1, mode: 'stuck' });
    },
    // Two half-open connections; two that fill the queue; then the last steps of the first two.
    traffic: (pair) =>
      asPeer(
        pair,
        `my @halfOpen = map { ($sport, $seq) = (3000 + $_, 1000); segment(flags => 'SYN', ack => 0);
           my (undef, $number) = answer(); [$sport, $number + 1] } 1 .. 2;
         for (1 .. 2) { ($sport, $seq) = (3010 + $_, 1000); handshake() }
         for my $one (@halfOpen) { segment(sport => $one->[0], seq => 1001, ack => $one->[1]) for 1 .. 50 }`,
      ),
    lost: ({ b }) => nstat(b, 'TcpExtListenOverflows'),
  },
  {
    name: 'TCP: half-open connections without SYN cookies',
    cause: 'tcp-syn-queue',
    confidence: 'certain',
    interface: null,
    async setUp(pair) {
      await inside(pair.b, 'sysctl -qw net.ipv4.tcp_syncookies=0');
      await addPeer(pair);
      await serveTcp(pair, { backlog: 8, mode: 'accepts' });
    },
    traffic: (pair) => asPeer(pair, requests),
    lost: ({ b }) => nstat(b, 'TcpExtTCPReqQFullDrop'),
    cure: { fix: 'tcp-syn-queue', capture: 'bpf' },
  },
  {
    name: 'TCP: many small segments for a small receive buffer',
    cause: 'tcp-rcvbuf-prune',
    confidence: 'certain',
    async setUp(pair) {
      await addPeer(pair);
      await serveTcp(pair, { rcvbufBytes: 4096, mode: 'accepts' });
    },
    traffic: (pair) =>
      asPeer(pair, "handshake(); segment(seq => $seq + 10 + 2 * $_, data => 'x') for 1 .. 400;"),
    lost: ({ b }) => nstat(b, 'TcpExtTCPOFODrop'),
  },
  {
    name: 'TCP: a peer that sends though the window is closed',
    cause: 'tcp-zero-window',
    confidence: 'likely',
    async setUp(pair) {
      await addPeer(pair);
      await serveTcp(pair, { rcvbufBytes: 4096, mode: 'accepts' });
    },
    traffic: (pair) =>
      asPeer(pair, "handshake(); for (1 .. 300) { segment(data => 'x' x 500); $seq += 500 }"),
    lost: ({ b }) => nstat(b, 'TcpExtBeyondWindow'),
  },
  {
    name: 'TCP: segments with a wrong checksum',
    cause: 'tcp-csum-error',
    confidence: 'certain',
    setUp: (pair) => serveTcp(pair, { mode: 'accepts' }),
    traffic: (pair) =>
      asPeer(pair, "segment(flags => 'SYN', paced => 1, checksum => 0xdead) for 1 .. 200;"),
    lost: ({ b }) => nstat(b, 'TcpInCsumErrors'),
  },
  {
    name: 'TCP: time stamps that go backwards',
    cause: 'tcp-paws',
    confidence: 'likely',
    async setUp(pair) {
      await addPeer(pair);
      await serveTcp(pair, { mode: 'reads' });
    },
    traffic: (pair) =>
      asPeer(
        pair,
        `my $theirs = handshake(1e8);
         segment(data => 'x', options => timestamps(1e8 + 1, $theirs)); $seq++;
         segment(data => 'y', options => timestamps(5000, $theirs)) for 1 .. 200;`,
      ),
    lost: ({ b }) => nstat(b, 'TcpExtPAWSEstab'),
  },
  {
    name: 'TCP: segments without the signature they need',
    cause: 'tcp-auth-mismatch',
    confidence: 'certain',
    async setUp(pair) {
      await addPeer(pair);
      await serveTcp(pair, { mode: 'accepts', md5Peer: PEER });
    },
    traffic: (pair) => asPeer(pair, requests),
    lost: ({ b }) => nstat(b, 'TcpExtTCPMD5NotFound'),
  },
  {
    name: 'TCP: the memory of all sockets is used up',
    cause: 'tcp-mem-pressure',
    confidence: 'certain',
    // What is lost is lost by its consequences.
    interface: null,
    alone: 'the limit is host-wide',
    async setUp(pair) {
      await addPeer(pair);
      await serveTcp(pair, { mode: 'accepts' });
      // First the memory, then the limit: far below what is in use, because each CPU keeps up to 1 MB that the
      // kernel does not count (net.core.mem_pcpu_rsv).
      await holdTcpMemory(pair);
      await setHostWide(pair.cleanUp, '/proc/sys/net/ipv4/tcp_mem', '100 200 300');
    },
    traffic: (pair) =>
      asPeer(
        pair,
        "handshake(); for (1 .. 3) { segment(seq => $seq + 10 + 410 * $_, data => 'x' x 400) for 1 .. 100 }",
      ),
    lost: ({ b }) => nstat(b, 'TcpExtTCPOFODrop'),
    cure: { fix: 'tcp-mem-pressure', capture: 'bpf' },
  },
  {
    name: 'TCP: a port that nobody listens on',
    cause: 'no-socket-tcp',
    confidence: 'possible',
    onlyBpf: true,
    traffic: (pair) => connectTcp(pair, 100),
    lost: ({ b }) => nstat(b, 'TcpOutRsts'),
  },
] satisfies readonly Fault[];
