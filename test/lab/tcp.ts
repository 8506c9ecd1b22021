import { frameAddresses, inside, macOf, RECEIVER, type Pair } from './network.ts';
import { runPerl, startPerl, type Receiver } from './traffic.ts';

/** Port of the TCP service of the receiver. */
export const TCP_PORT = 5001;

/**
 * A host that exists only as a Perl program behind the sender's interface: no kernel answers in its name, so
 * it may speak TCP as no kernel would.
 */
export const PEER = '10.77.0.9';

const SERVER = `
use strict; use Socket;
my ($port, $backlog, $rcvbuf, $mode, $md5Peer) = @ARGV;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
setsockopt($s, SOL_SOCKET, SO_RCVBUF, 0 + $rcvbuf) if $rcvbuf > 0;
# struct tcp_md5sig: address, flags, prefix, length of the key, interface, key.
setsockopt($s, 6, 14, pack('a128CCSla80', pack_sockaddr_in(0, inet_aton($md5Peer)), 0, 0, 6, 0, 'secret')) or die $!
  if $md5Peer;
bind($s, sockaddr_in($port, INADDR_ANY)) or die $!;
listen($s, $backlog) or die $!;
$| = 1; print "ready\\n";
my @open;
while ($mode ne 'stuck') { accept(my $c, $s) or next; push @open, $c;
  while ($mode eq 'reads' and sysread($c, my $data, 65536)) { } }
sleep(100) while 1;
`;

export interface TcpService {
  /** Default 128. */
  readonly backlog?: number;
  /** SO_RCVBUF; default: the program does not ask. */
  readonly rcvbufBytes?: number;
  /** `stuck` never accepts, `accepts` takes connections but does not read, `reads` reads the first to its end. */
  readonly mode: 'stuck' | 'accepts' | 'reads';
  /** A peer whose segments must be signed (TCP_MD5SIG). */
  readonly md5Peer?: string;
}

/** Starts a TCP service at TCP_PORT of the receiver. */
export async function serveTcp(
  { b, cleanUp }: Pair,
  { backlog = 128, rcvbufBytes = 0, mode, md5Peer = '' }: TcpService,
): Promise<Receiver> {
  const args = [TCP_PORT, backlog, rcvbufBytes, mode, md5Peer].map(String);
  const service = await startPerl(b, SERVER, args);
  cleanUp.add(() => service.stop());
  return service;
}

const CONNECT = `
use strict; use Socket; use Time::HiRes qw(sleep);
my ($to, $port, $connections, $seconds) = @ARGV;
my @open = map { socket(my $s, PF_INET, SOCK_STREAM | 0x800, 0) or die $!;
  connect($s, sockaddr_in($port, inet_aton($to))); $s } 1 .. $connections;
sleep($seconds);
`;

/** Opens connections all at once, and keeps them for a while. */
export async function connectTcp({ a }: Pair, connections: number, seconds = 0.5): Promise<void> {
  const args = [RECEIVER, TCP_PORT, connections, seconds].map(String);
  await runPerl(a, CONNECT, args);
}

const HOLD = `
use strict; use Socket;
socket(my $listener, PF_INET, SOCK_STREAM, 0) or die $!;
bind($listener, sockaddr_in(0, INADDR_LOOPBACK)) or die $!; listen($listener, 100) or die $!;
my @open = map { socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
  connect($s, getsockname($listener)) or die $!;
  my $flags = fcntl($s, 4, 0x800); syswrite($s, 'x' x 65536) for 1 .. 4; $s } 1 .. 60;
$| = 1; print "ready\\n"; sleep(100) while 1;
`;

/** Connections full of data that nobody reads, 10 MB or more, on the peer's loopback: the limit is host-wide. */
export async function holdTcpMemory({ a, cleanUp }: Pair): Promise<void> {
  const holder = await startPerl(a, HOLD, []);
  cleanUp.add(() => holder.stop());
}

const PEER_PRELUDE = `
use strict; use Socket; use Time::HiRes qw(sleep);
my ($interface, $ethernet, $from, $to, $port) = @ARGV;
($from, $to) = (inet_aton($from), inet_aton($to));
my ($sport, $seq, $ack) = (1024 + $$ % 40000, 1000, 0);
socket(my $wire, 17, SOCK_RAW, unpack('n', pack('S', 0x0800))) or die $!;
open(my $f, '<', "/sys/class/net/$interface/ifindex") or die $!;
my $address = pack('SnlSCCa8', 17, 0x0800, <$f>, 0, 0, 6, pack('H12', $ethernet));
bind($wire, $address) or die $!;
sub checksum { my $sum = unpack('%32n*', length($_[0]) % 2 ? $_[0] . "\\0" : $_[0]);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16; return ~$sum & 0xffff }
my %FLAG = (FIN => 1, SYN => 2, RST => 4, ACK => 16);
sub segment { my %s = (flags => 'ACK', seq => $seq, ack => $ack, source => $from, sport => $sport,
    window => 65535, ttl => 64, options => '', data => '', @_);
  my $flags = 0; $flags |= $FLAG{$_} for split / /, $s{flags};
  my $tcp = pack('nnNNCCnnn', $s{sport}, $port, $s{seq} & 0xffffffff, $s{ack},
    (5 + length($s{options}) / 4) << 4, $flags, $s{window}, 0, 0) . $s{options} . $s{data};
  substr($tcp, 16, 2) = pack('n', $s{checksum} // checksum($s{source} . $to . pack('nn', 6, length $tcp) . $tcp));
  my $ip = pack('CCnnnCCn', 0x45, 0, 20 + length $tcp, 0, 0, $s{ttl}, 6, 0) . $s{source} . $to;
  substr($ip, 10, 2) = pack('n', checksum($ip));
  defined(send($wire, pack('H*', $ethernet) . "\\x08\\x00" . $ip . $tcp, 0, $address)) or die $!;
  select(undef, undef, undef, 0.001) if $s{flags} !~ /SYN/ or $s{paced} }
sub timestamps { return pack('CCCCNN', 1, 1, 8, 10, @_) }
# What the receiver answered: (flags, its sequence number, its time stamp).
sub answer { my $in = ''; vec($in, fileno($wire), 1) = 1;
  while (select(my $ready = $in, undef, undef, 1)) { recv($wire, my $frame, 2000, 0);
    my ($source, $ports, $number, $offset, $flags) = unpack('x26 a4 x4 N N x4 CC', $frame);
    next unless $source eq $to and $ports == ($port << 16 | $sport);
    my ($stamp) = substr($frame, 54, (($offset >> 4) - 5) * 4) =~ /\\x08\\x0a(....)/s;
    return ($flags, $number, $stamp ? unpack('N', $stamp) : 0) }
  die 'no answer' }
# Opens a connection: $seq and $ack are then as on any established one. With a time stamp if one is given;
# then that of the receiver is returned.
sub handshake { my ($stamp) = @_;
  segment(flags => 'SYN', ack => 0, options => $stamp ? timestamps($stamp, 0) : '');
  my (undef, $number, $theirs) = answer();
  ($seq, $ack) = ($seq + 1, $number + 1);
  segment(options => $stamp ? timestamps($stamp, $theirs) : '');
  return $theirs }
`;

/** Makes the receiver know where PEER is. */
export async function addPeer({ a, b }: Pair): Promise<void> {
  await inside(b, `ip neigh replace ${PEER} dev vb lladdr ${await macOf(a, 'va')} nud permanent`);
}

/**
 * Runs Perl as PEER, with `segment()`, `handshake()` and the like of PEER_PRELUDE.
 */
export async function asPeer(pair: Pair, program: string): Promise<void> {
  const args = ['va', await frameAddresses(pair), PEER, RECEIVER, String(TCP_PORT)];
  await runPerl(pair.a, PEER_PRELUDE + program, args);
}
