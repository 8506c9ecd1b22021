import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { firstLine, SYSTEM_CALLS } from '../bpf.ts';
import { run, start } from '../command.ts';
import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { SENDER, type Pair } from '../network.ts';
import { PORT } from '../traffic.ts';

/**
 * Joins a new control group and forbids it to send (BPF_PROG_TYPE_CGROUP_SKB that returns 0), then tries to, in a
 * network namespace, whenever it gets a line. Groups show only outside of `ip netns exec`, which has a /sys of its own.
 */
const FORBIDDEN_SENDER = `
use strict; use Socket;
my ($bpf, $setns, $group, $netns, $to, $port, $packets) = @ARGV;
open(my $procs, '>', "$group/cgroup.procs") or die $!; print $procs $$; close($procs);
my ($code, $license) = (pack('CCsl CCsl', 0xb7, 0, 0, 0, 0x95, 0, 0, 0), "GPL\\0");
# union bpf_attr of BPF_PROG_LOAD, down to expected_attach_type, and of BPF_PROG_ATTACH.
my $load = pack('LLPPLLQLLa16LL', 8, 2, $code, $license, 0, 0, 0, 0, 0, 'lab_forbid', 0, 1);
my $egress = syscall(0 + $bpf, 5, $load, length($load));
die "load: $!" if $egress < 0;
open(my $directory, '<', $group) or die $!;
my $attach = pack('LLLLL', fileno($directory), $egress, 1, 0, 0);
syscall(0 + $bpf, 8, $attach, length($attach)) == 0 or die "attach: $!";
open(my $namespace, '<', "/run/netns/$netns") or die $!;
syscall(0 + $setns, fileno($namespace), 0x40000000) == 0 or die "setns: $!";
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
$| = 1;
while (<STDIN>) {
  for (1 .. $packets) {
    send($s, 'x', 0, sockaddr_in($port, inet_aton($to))) and die 'it may send';
    select(undef, undef, undef, 0.001) }
  print "sent\\n" }
`;

const senders = new WeakMap<Pair, ReturnType<typeof start>>();

async function forbidToSend(pair: Pair): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const root = / (\S+) cgroup2 /.exec(mounts)?.[1];
  if (root === undefined) throw new Error('no cgroup2 is mounted');
  const group = `${root}/whydrop-lab-${process.pid}`;
  await run(`mkdir -p ${group}`);
  pair.cleanUp.add(() => run(`rmdir ${group}`));
  const { bpf, setns } = SYSTEM_CALLS;
  const args = [bpf, setns, group, pair.b, SENDER, String(PORT), '200'];
  const sender = start('perl', ['-e', FORBIDDEN_SENDER, ...args]);
  senders.set(pair, sender);
  pair.cleanUp.add(async () => {
    sender.kill('SIGKILL');
    await sender;
  });
}

export default [
  {
    name: 'control group that may not send',
    cause: 'cgroup-bpf-egress',
    confidence: 'certain',
    alone: 'tracefs knows it by its drops, and by IpOutDiscards, which other causes raise too',
    scope: {
      rule: expect.stringMatching(
        /^BPF program lab_forbid \(id \d+\) of control group \/whydrop-lab-\d+, held by perl \(pid \d+/,
      ) as string,
    },
    setUp: forbidToSend,
    async traffic(pair) {
      const sender = senders.get(pair);
      if (sender === undefined) throw new Error('nobody is there to send');
      sender.stdin.write('\n');
      await firstLine(sender);
    },
    lost: ({ b }) => nstat(b, 'IpOutDiscards'),
  },
] satisfies readonly Fault[];
