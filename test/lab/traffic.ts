import { start } from './command.ts';
import { RECEIVER, type Pair } from './network.ts';

/**
 * Senders are Perl: it is on every Debian, opens raw sockets, and sends some 300,000 packets a second.
 * Each ends by itself.
 */
export interface UdpTraffic {
  readonly from: string;
  /** Source address; another one than the interface's must be on the sender's loopback. */
  readonly source?: string;
  readonly to: string;
  readonly port: number;
  readonly packets: number;
  /** 0: as fast as it can. */
  readonly perSecond: number;
  readonly bytes?: number;
  /** So many packets back to back, then a pause that keeps the mean rate. Default 1. */
  readonly burst?: number;
  /** Source ports to take in turn; each is a flow of its own. Default 1. */
  readonly flows?: number;
  /** Run on this CPU only. */
  readonly cpu?: number;
}

const UDP = `
use strict; use Socket; use Time::HiRes qw(sleep time);
my ($source, $to, $port, $packets, $rate, $bytes, $burst, $flows) = @ARGV;
my $address = sockaddr_in($port, inet_aton($to));
my $payload = 'x' x $bytes;
my $open = sub { my $p = shift; socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
  setsockopt($s, SOL_SOCKET, SO_SNDBUF, 4194304);
  bind($s, sockaddr_in($p, inet_aton($source))) or die "bind $source: $!"; return $s };
my @sockets = map { $open->($flows > 1 ? 20000 + $_ : 0) } 0 .. $flows - 1;
my $begin = time; my $sent = 0;
$SIG{TERM} = sub { print "$sent\n"; exit 0 };
for my $i (1 .. $packets) {
  defined(send($sockets[$i % $flows], $payload, 0, $address)) and $sent++;
  if ($rate > 0 and $i % $burst == 0) { my $wait = $begin + $i / $rate - time; sleep($wait) if $wait > 0 }
}
printf "%d %.4f\\n", $sent, time - $begin;
`;

/** Sends and waits for the end. @returns how many packets the sender's kernel accepted. */
export async function sendUdp(traffic: UdpTraffic): Promise<number> {
  return (await timeUdp(traffic)).sent;
}

/** The same. @returns also how long it sent, without what it took to start */
export async function timeUdp(
  traffic: UdpTraffic,
): Promise<{ readonly sent: number; readonly seconds: number }> {
  const { stdout, stderr, exitCode } = await startUdp(traffic);
  if (exitCode !== 0) throw new Error(`the sender failed: ${stderr}`);
  const [sent = Number.NaN, seconds = Number.NaN] = stdout.split(' ').map(Number);
  return { sent, seconds };
}

/** Starts a stream of packets; it ends by itself, or when killed. */
export function startUdp(traffic: UdpTraffic): ReturnType<typeof start> {
  const { from, source = '0.0.0.0', to, port, packets, perSecond } = traffic;
  const { bytes = 100, burst = 1, flows = 1 } = traffic;
  const pin = traffic.cpu === undefined ? [] : ['taskset', '-c', String(traffic.cpu)];
  const args = [source, to, port, packets, perSecond, bytes, burst, flows].map(String);
  return start('ip', ['netns', 'exec', from, ...pin, 'perl', '-e', UDP, ...args]);
}

/** Port of the service that `steady` sends to. */
export const PORT = 5000;

/** A stream to the receiver, one second long: far more than the noise that is taken for none. */
export function steady(
  { a }: Pair,
  options: { source?: string; flows?: number } = {},
): Promise<number> {
  return sendUdp({ from: a, to: RECEIVER, port: PORT, packets: 200, perSecond: 200, ...options });
}

const RECEIVER_PROGRAM = `
use strict; use Socket; use Time::HiRes qw(sleep);
my ($port, $rcvbuf, $mode) = @ARGV;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
setsockopt($s, SOL_SOCKET, SO_RCVBUF, 0 + $rcvbuf) if $rcvbuf > 0;
bind($s, sockaddr_in($port, INADDR_ANY)) or die $!;
$| = 1; print "ready\n";
if ($mode eq 'stuck') { sleep(100) while 1 }
while (1) { sleep(0.1) if $mode eq 'bursts'; my $n = 0;
  while (defined recv($s, my $data, 2000, $n++ && $mode eq 'bursts' ? 0x40 : 0)) { } }
`;

/** A program that receives in a namespace, ready when the promise resolves. */
export interface Receiver {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Runs Perl in a namespace to its end. */
export async function runPerl(
  netns: string,
  program: string,
  args: readonly string[],
): Promise<void> {
  const { stderr, exitCode } = await start('ip', [...perlIn(netns), program, ...args]);
  if (exitCode !== 0) throw new Error(`a program failed: ${stderr}`);
}

function perlIn(netns: string): readonly string[] {
  return ['netns', 'exec', netns, 'perl', '-e'];
}

/** Starts Perl in a namespace that says something once it is ready. */
export async function startPerl(
  netns: string,
  program: string,
  args: readonly string[],
): Promise<Receiver> {
  const child = start('ip', [...perlIn(netns), program, ...args]);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('the program did not start')));
  });
  return {
    pid: child.pid ?? -1,
    async stop() {
      child.kill('SIGKILL');
      await child;
    },
  };
}

/**
 * @param mode `reads` at once, `bursts`: sleeps 100 ms, then takes all that waits, `stuck`: never reads
 * @param rcvbufBytes SO_RCVBUF the program asks for; 0: it does not ask
 */
export function receiveUdp(
  netns: string,
  port: number,
  mode: 'reads' | 'bursts' | 'stuck',
  rcvbufBytes = 0,
): Promise<Receiver> {
  return startPerl(netns, RECEIVER_PROGRAM, [String(port), String(rcvbufBytes), mode]);
}

const services = new WeakMap<Pair, Receiver>();

/** Starts the service at PORT of the receiver, or restarts it. */
export async function serve(
  pair: Pair,
  mode: 'reads' | 'bursts' | 'stuck',
  rcvbufBytes = 0,
): Promise<void> {
  await services.get(pair)?.stop();
  const receiver = await receiveUdp(pair.b, PORT, mode, rcvbufBytes);
  services.set(pair, receiver);
  pair.cleanUp.add(() => receiver.stop());
}

const FRAMES = `
use strict; use Socket;
my ($interface, $packets, @hex) = @ARGV;
my @frames = map { pack('H*', $_) } @hex;
socket(my $s, 17, SOCK_RAW, unpack('n', pack('S', 3))) or die $!;
open(my $f, '<', "/sys/class/net/$interface/ifindex") or die $!;
my $address = pack('SnLSCCa8', 17, 3, <$f>, 0, 0, 6, substr($frames[0], 0, 6));
for (1 .. $packets) { defined(send($s, $frames[$_ % @frames], 0, $address)) or die $!; select(undef, undef, undef, 0.001) }
`;

/** Sends raw Ethernet frames (hexadecimal, with their headers), a millisecond apart, one after the other in turn. */
export async function sendFrames(
  from: string,
  iface: string,
  packets: number,
  ...hex: readonly string[]
): Promise<void> {
  await runPerl(from, FRAMES, [iface, String(packets), ...hex]);
}

/** Waits, within the window, for what the kernel does in its own time. */
export async function until(done: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await done())) {
    if (Date.now() > end) throw new Error('the kernel did not do it');
  }
}

/** The same traffic, again and again, until `done` settles. */
export async function trafficUntil<Result>(
  done: Promise<Result>,
  traffic: () => Promise<unknown>,
): Promise<Result> {
  const state = { ended: false };
  const result = done.finally(() => {
    state.ended = true;
  });
  // It is awaited below; until then the traffic may fail first.
  result.catch(() => undefined);
  while (!state.ended) await traffic();
  return result;
}
