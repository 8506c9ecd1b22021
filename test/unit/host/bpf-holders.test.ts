import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findHolders } from '../../../src/host/bpf-holders.ts';
import { pathsIn } from '../../../src/host/mounts.ts';

interface FakeProcess {
  readonly name: string;
  readonly cgroup: string;
  /** What is open: where the link of each file leads, and its fdinfo. */
  readonly files: readonly (readonly [link: string, fdinfo: string])[];
}

/** A /proc with these processes, by number. */
async function withProc<Result>(
  processes: Readonly<Record<string, FakeProcess>>,
  work: (proc: string) => Promise<Result>,
): Promise<Result> {
  const proc = await mkdtemp(join(tmpdir(), 'whydrop-proc-'));
  try {
    await mkdir(join(proc, 'self/ns'), { recursive: true });
    await symlink('pid:[4026531836]', join(proc, 'self/ns/pid'));
    for (const [pid, { name, cgroup, files }] of Object.entries(processes)) {
      await mkdir(join(proc, pid, 'fd'), { recursive: true });
      await mkdir(join(proc, pid, 'fdinfo'));
      await writeFile(join(proc, pid, 'comm'), `${name}\n`);
      await writeFile(join(proc, pid, 'cgroup'), cgroup);
      for (const [fd, [link, fdinfo]] of files.entries()) {
        await symlink(link, join(proc, pid, 'fd', String(fd)));
        await writeFile(join(proc, pid, 'fdinfo', String(fd)), fdinfo);
      }
    }
    return await work(proc);
  } finally {
    await rm(proc, { recursive: true });
  }
}

const program = (id: number) =>
  ['anon_inode:bpf-prog', `pos:\t0\nflags:\t02000002\nprog_type:\t6\nprog_id:\t${id}\n`] as const;
const link = (id: number) =>
  [
    'anon_inode:bpf_link',
    `link_type:\txdp\nlink_id:\t9\nprog_tag:\tab\nprog_id:\t${id}\n`,
  ] as const;
const enough = (entriesLeft = 100) => ({ entriesLeft });

const processes = {
  1: { name: 'init', cgroup: '0::/init.scope\n', files: [['/dev/null', 'prog_id:\t7\n']] },
  20: {
    name: 'agent',
    cgroup: '12:pids:/x\n1:name=systemd:/system.slice/agent.service\n0::/\n',
    files: [program(7), link(7), link(8), program(99)],
  },
  100: { name: 'other', cgroup: '', files: [program(7)] },
} satisfies Readonly<Record<string, FakeProcess>>;

test('finds who has a program open, or a link of it, and looks no further than it must', async () => {
  await withProc(processes, async (proc) => {
    const agent = { pid: 20, name: 'agent', cgroup: '/system.slice/agent.service' };
    expect(await findHolders(new Set([7, 8]), enough(), proc)).toEqual({
      found: new Map([
        [7, [agent]],
        [8, [agent]],
      ]),
      complete: true,
    });
  });
});

test('all are looked at for one that nobody has; not to the end: nobody knows', async () => {
  await withProc(processes, async (proc) => {
    const { found, complete } = await findHolders(new Set([7, 55]), enough(), proc);
    expect([found.get(7)?.length, found.has(55), complete]).toEqual([2, false, true]);
    expect(await findHolders(new Set([8]), enough(1), proc)).toMatchObject({ complete: false });
  });
});

test('a process that we may not look into may have it', async () => {
  await withProc(processes, async (proc) => {
    await rm(join(proc, '1/fd'), { recursive: true });
    await writeFile(join(proc, '1/fd'), 'no directory, which is refused as well');
    expect(await findHolders(new Set([55]), enough(), proc)).toMatchObject({ complete: false });
    expect(await findHolders(new Set([7]), enough(), proc)).toMatchObject({ complete: true });
  });
});

test('in a container there may be others', async () => {
  await withProc({}, async (proc) => {
    await rm(join(proc, 'self/ns/pid'));
    await symlink('pid:[4026532001]', join(proc, 'self/ns/pid'));
    expect(await findHolders(new Set([7]), enough(), proc)).toMatchObject({ complete: false });
  });
});

test('mounts of a type, each place once', () => {
  const mounts = `sysfs /sys sysfs rw 0 0
bpf /sys/fs/bpf bpf rw,mode=700 0 0
bpf /sys/fs/bpf bpf rw 0 0
none /run/with\\040blank bpf rw 0 0
bpf
`;
  expect(pathsIn(mounts, 'bpf')).toEqual(['/sys/fs/bpf', '/run/with blank']);
  expect(pathsIn('', 'bpf')).toEqual([]);
});
