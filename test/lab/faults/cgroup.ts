import { readFile } from 'node:fs/promises';
import { run, start } from '../command.ts';
import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { SENDER } from '../network.ts';
import { PORT } from '../traffic.ts';

/**
 * Joins a new control group and forbids it to send (BPF_PROG_TYPE_CGROUP_SKB that returns 0), then runs a program.
 * Groups show only outside of `ip netns exec`, which has a /sys of its own.
 */
const FORBID = `
use strict;
my ($bpf, $group, @program) = @ARGV;
open(my $procs, '>', "$group/cgroup.procs") or die $!; print $procs $$; close($procs);
my ($code, $license) = (pack('CCsl CCsl', 0xb7, 0, 0, 0, 0x95, 0, 0, 0), "GPL\\0");
# union bpf_attr of BPF_PROG_LOAD, down to expected_attach_type, and of BPF_PROG_ATTACH.
my $load = pack('LLPPLLQLLa16LL', 8, 2, $code, $license, 0, 0, 0, 0, 0, '', 0, 1);
my $egress = syscall(0 + $bpf, 5, $load, length($load));
die "load: $!" if $egress < 0;
open(my $directory, '<', $group) or die $!;
my $attach = pack('LLLLL', fileno($directory), $egress, 1, 0, 0);
syscall(0 + $bpf, 8, $attach, length($attach)) == 0 or die "attach: $!";
exec(@program) or die $!;
`;

const SEND = `
use strict; use Socket;
my ($to, $port, $packets) = @ARGV;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die $!;
for (1 .. $packets) {
  send($s, 'x', 0, sockaddr_in($port, inet_aton($to))) and die 'it may send';
  select(undef, undef, undef, 0.001) }
`;

/** Number of the system call bpf(2). */
const BPF = process.arch === 'x64' ? '321' : '280';

async function newControlGroup(): Promise<string> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const root = / (\S+) cgroup2 /.exec(mounts)?.[1];
  if (root === undefined) throw new Error('no cgroup2 is mounted');
  const group = `${root}/whydrop-lab-${process.pid}`;
  await run(`mkdir -p ${group}`);
  return group;
}

export default [
  {
    name: 'control group that may not send',
    cause: 'cgroup-bpf-egress',
    confidence: 'certain',
    async traffic({ b }) {
      const group = await newControlGroup();
      const inside = ['ip', 'netns', 'exec', b, 'perl', '-e', SEND, SENDER, String(PORT), '200'];
      const { exitCode, stderr } = await start('perl', ['-e', FORBID, BPF, group, ...inside]);
      await run(`rmdir ${group}`);
      if (exitCode !== 0) throw new Error(`the sender failed: ${stderr}`);
    },
    lost: ({ b }) => nstat(b, 'IpOutDiscards'),
  },
] satisfies readonly Fault[];
