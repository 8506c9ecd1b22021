import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, start } from './command.ts';
import type { Pair } from './network.ts';

/** Numbers of system calls. */
export const SYSTEM_CALLS =
  process.arch === 'x64' ? { bpf: '321', setns: '308' } : { bpf: '280', setns: '268' };

/** BPF_PROG_GET_FD_BY_ID, then BPF_OBJ_PIN; or the open file is all that there is. */
const HOLD = `
use strict;
my ($bpf, $id, $pin) = @ARGV;
my $by_id = pack('LLL', $id, 0, 0);
my $program = syscall(0 + $bpf, 13, $by_id, length($by_id));
die "program $id: $!" if $program < 0;
if (defined $pin) {
  my $to_pin = pack('pLL', $pin, $program, 0);
  syscall(0 + $bpf, 6, $to_pin, length($to_pin)) == 0 or die "pin: $!";
  exit 0 }
$| = 1; print "ready\\n"; sleep(100);
`;

const perl = (id: number, ...more: readonly string[]): readonly string[] => [
  '-e',
  HOLD,
  SYSTEM_CALLS.bpf,
  String(id),
  ...more,
];

/** Starts a program, called perl, that has an open file of this BPF program. */
export async function hold({ cleanUp }: Pair, id: number): Promise<void> {
  const holder = start('perl', perl(id));
  cleanUp.add(async () => {
    holder.kill('SIGKILL');
    await holder;
  });
  await firstLine(holder);
}

/** Pins it, as `deny` in a bpffs of its own. */
export async function pin({ cleanUp }: Pair, id: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
  await run(`mount -t bpf bpf ${folder}`);
  cleanUp.add(async () => {
    await run(`umount ${folder}`);
    await run(`rmdir ${folder}`);
  });
  const { exitCode, stderr } = await start('perl', perl(id, `${folder}/deny`));
  if (exitCode !== 0) throw new Error(`it cannot be pinned: ${stderr}`);
}

/** Until a program has said something. */
export async function firstLine(child: ReturnType<typeof start>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    void child.then(({ stderr }) => reject(new Error(`the program ended: ${stderr}`)));
  });
}
