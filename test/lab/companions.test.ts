import { afterEach, expect, test } from 'vitest';
import { stat } from 'node:fs/promises';
import { startBpfCapture } from '../../src/capture/bpf/capture.ts';
import { total, type Companions } from '../../src/model/companions.ts';
import { start } from './command.ts';
import { nstat } from './counters.ts';
import { CleanUp, inside, makePair, RECEIVER, SENDER, type Pair } from './network.ts';
import { labMissing } from './requirements.ts';
import { receiveUdp, sendUdp } from './traffic.ts';
import { diagnoseDuring } from './whydrop.ts';

const missing = await labMissing();
const cleanUp = new CleanUp();
afterEach(() => cleanUp.run());

async function cable(): Promise<Pair> {
  const pair = await makePair();
  cleanUp.add(() => pair.cleanUp.run());
  return pair;
}

/** Runs Perl in a namespace to its end. */
async function perl(netns: string, program: string, ...args: readonly string[]): Promise<void> {
  const child = start('ip', ['netns', 'exec', netns, 'perl', '-e', program, ...args]);
  const { stderr, exitCode } = await child;
  if (exitCode !== 0) throw new Error(`perl failed: ${stderr}`);
}

/** Starts Perl in a namespace; it says when it is ready, and ends with the test. @returns its process id */
async function serve(
  netns: string,
  program: string,
  ...args: readonly string[]
): Promise<number | undefined> {
  const child = start('ip', ['netns', 'exec', netns, 'perl', '-e', program, ...args]);
  cleanUp.add(async () => {
    child.kill('SIGKILL');
    await child;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', () => reject(new Error('a server did not start')));
  });
  return child.pid;
}

/** Does something with each connection to the port. */
const listener = (withEach: string): string => `use strict; use Socket; my ($port) = @ARGV;
socket(my $s, PF_INET, SOCK_STREAM, 0); $SIG{CHLD} = 'IGNORE';
bind($s, sockaddr_in($port, INADDR_ANY)) or die $!; listen($s, 50) or die $!;
$| = 1; print "ready\n"; while (accept(my $c, $s)) { ${withEach}; close($c) }`;
/** Closed so, a connection ends by a reset that answers no segment. */
const RESETS = listener('setsockopt($c, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))');
const READS = listener('if (!fork) { 1 while sysread($c, my $data, 65536); exit 0 }');

const CONNECT = `use strict; use Socket; my ($to, $port, $last) = @ARGV;
for my $p ($port .. $last // $port) { socket(my $s, PF_INET, SOCK_STREAM, 0);
  connect($s, sockaddr_in($p, inet_aton($to))) and sysread($s, my $end, 1) }`;

const SEND_IPV6 = `use strict; use Socket qw(:all); my ($to, $port, $packets) = @ARGV;
socket(my $s, AF_INET6, SOCK_DGRAM, 0);
for (1 .. $packets) { send($s, 'x' x 500, 0, pack_sockaddr_in6($port, inet_pton(AF_INET6, $to))) }`;

const STUCK_IPV6 = `use strict; use Socket qw(:all); socket(my $s, AF_INET6, SOCK_DGRAM, 0);
setsockopt($s, SOL_SOCKET, SO_RCVBUF, 4096); bind($s, pack_sockaddr_in6(7001, IN6ADDR_ANY)) or die $!;
$| = 1; print "ready\n"; sleep(100)`;

/** Eight connections; a little at a time, so that segments are many. */
const STREAMS = `use strict; use Socket; my ($to, $port) = @ARGV;
for my $n (1 .. 8) { next if fork; socket(my $s, PF_INET, SOCK_STREAM, 0);
  connect($s, sockaddr_in($port, inet_aton($to))) or die $!;
  for (1 .. 200) { syswrite($s, 'x' x 1400); select(undef, undef, undef, 0.004) }
  exit 0 }
1 while wait > 0;`;

async function told(traffic: () => Promise<unknown>): Promise<Companions> {
  const capture = await startBpfCapture();
  if (capture.status !== 'ok') throw new Error(capture.reason);
  cleanUp.add(() => capture.value.stop());
  capture.value.mark('window-open');
  await traffic();
  const drops = await capture.value.stop();
  if (drops.status !== 'ok') throw new Error(drops.reason);
  expect(drops.notes ?? []).toEqual([]);
  if (drops.value.companions === undefined) throw new Error('no companions');
  return drops.value.companions;
}

test.skipIf(missing !== null)(
  'resets and full sockets: whose they are, and exact when there are too many to list',
  async () => {
    const { a, b } = await cable();
    await inside(a, 'ip addr add fd77::1/64 dev va nodad');
    await inside(b, 'ip addr add fd77::2/64 dev vb nodad');
    const stuck = await serve(b, STUCK_IPV6);
    await serve(b, RESETS, '90');
    const companions = await told(async () => {
      await perl(a, CONNECT, RECEIVER, '90');
      await perl(a, CONNECT, RECEIVER, '1000', '2499');
      await perl(a, SEND_IPV6, 'fd77::2', '7001', '300');
    });
    const netns = (await stat(`/run/netns/${b}`)).ino;
    const { resetsSent, resetsReceived, fullSockets, missed } = companions;
    const ofB = <Row extends { readonly netns: number | null }>(rows: readonly Row[] = []) =>
      rows.filter((row) => row.netns === netns);

    const rows = ofB(resetsSent?.rows);
    const rest = ofB(resetsSent?.rest);
    expect(rows.find(({ localPort }) => localPort === 90)).toMatchObject({
      local: RECEIVER,
      remote: SENDER,
      packets: 1,
    });
    expect(rest).toHaveLength(1);
    expect(total({ rows, rest })).toBe(await nstat(b, 'TcpOutRsts'));
    expect(total({ rows, rest })).toBe(1501);
    expect(resetsReceived?.rows.find(({ remote }) => remote === RECEIVER)).toMatchObject({
      local: SENDER,
      remotePort: null,
      packets: 1501,
    });
    expect(ofB(fullSockets?.rows)).toMatchObject([
      {
        limit: 'receive-buffer',
        protocol: 'udp6',
        local: '[::]:7001',
        packets: await nstat(b, 'Udp6RcvbufErrors'),
        rcvbufBytes: 8192,
      },
    ]);
    const inode = ofB(fullSockets?.rows)[0]?.socket;
    const sockets = await inside(b, `find /proc/${stuck}/fd -lname socket:* -printf %l`);
    expect(sockets).toContain(`socket:[${inode}]`);
    expect(missed).toBe(0);
  },
);

test.skipIf(missing !== null)('the socket that overflowed and its process are named', async () => {
  const { a, b } = await cable();
  const receivers = [await receiveUdp(b, 7000, 'stuck', 4096), await receiveUdp(b, 7002, 'reads')];
  for (const receiver of receivers) cleanUp.add(() => receiver.stop());
  const { reports } = await diagnoseDuring([{ netns: b, captures: ['bpf'] }], async () => {
    await sendUdp({ from: a, to: RECEIVER, port: 7002, packets: 100, perSecond: 1000 });
    await sendUdp({ from: a, to: RECEIVER, port: 7000, packets: 500, perSecond: 0 });
  });
  const [report] = reports;
  const packets = await nstat(b, 'UdpRcvbufErrors');
  expect(packets).toBeGreaterThan(400);
  expect(report?.causes, JSON.stringify(report, null, 1)).toMatchObject([
    {
      id: 'udp-rcvbuf-full',
      confidence: 'certain',
      packets,
      scope: {
        socket: 'udp 0.0.0.0:7000',
        process: { pid: receivers[0]?.pid, name: 'perl' },
        interface: 'vb',
      },
    },
  ]);
  const because = report?.causes[0]?.because.map(({ source }) => source);
  expect(because).toContain('udp:udp_fail_queue_rcv_skb');
});

test.skipIf(missing !== null)('segments lost on the far side: the peer is named', async () => {
  const { a, b } = await cable();
  await inside(
    b,
    'nft -f -',
    'table inet t { chain i { type filter hook input priority 0; tcp dport 9000 meta length > 100 numgen random mod 4 0 drop;\n}\n}',
  );
  await serve(b, READS, '9000');
  const { reports } = await diagnoseDuring([{ netns: a, captures: ['bpf'] }], () =>
    perl(a, STREAMS, RECEIVER, '9000'),
  );
  const [report] = reports;
  expect(report?.causes, JSON.stringify(report, null, 1)).toMatchObject([
    {
      id: 'remote-loss',
      severity: 'notice',
      confidence: 'likely',
      packets: 0,
      scope: { netns: a, flow: `to ${RECEIVER}:9000` },
    },
  ]);
  expect(report?.causes[0]?.because.at(-1)).toMatchObject({ source: 'tcp:tcp_retransmit_skb' });
  expect(report?.verdict).toBe('ok');
});
