import { closeSync, existsSync, openSync, readdirSync } from 'node:fs';
import { uptime } from 'node:os';
import { loadLibBpf, type LibBpf } from '../capture/bpf/libbpf.ts';
import type { CommandOutput } from '../model/host.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { findHolders, findPins, seesAll, type Effort } from './bpf-holders.ts';
import { errnoOf } from './errno.ts';
import { inPlace } from './in-place.ts';
import { mountsOf } from './mounts.ts';

/**
 * BPF programs that can drop packets, the control groups they are attached to, and who holds them: what
 * `bpftool prog`, `bpftool cgroup tree` and a search of /proc would say (checks/programs.ts has the form).
 */
export async function readBpfPrograms(): Promise<Reading<CommandOutput>> {
  const lib = await loadLibBpf();
  if (lib.status !== 'ok') return lib;
  const listed = programsIn(lib.value);
  if (listed.status !== 'ok') return listed;
  const effort = { entriesLeft: MOST_ENTRIES };
  const ofCgroups = listed.value.filter(({ type }) => type === 'cgroup_skb');
  const { attached, complete } =
    ofCgroups.length === 0
      ? { attached: [], complete: true }
      : await attachmentsIn(lib.value, effort);
  // Others of that type are loaded, and judge nothing.
  const atWork = new Set(attached.flatMap(({ programs }) => programs));
  const programs = listed.value.filter(({ type, id }) => type !== 'cgroup_skb' || atWork.has(id));
  const ids = programs.map(({ id }) => id);
  const pins = await findPins(new Set(ids), lib.value, effort);
  const holders = await findHolders(new Set(ids.filter((id) => !pins.found.has(id))), effort);
  const output = {
    programs: programs.map((program) => ({
      ...program,
      pins: pins.found.get(program.id) ?? [],
      holders: holders.found.get(program.id) ?? [],
    })),
    attached,
    complete: { cgroups: complete, holders: pins.complete && holders.complete },
  };
  return ok({ stdout: JSON.stringify(output), stderr: '', exitCode: 0 });
}

/**
 * Half a second of work (measured: 100 ms for 400 processes with 50 files each). A host with more control groups, pins
 * and open files than that is not searched to the end.
 */
const MOST_ENTRIES = 100_000;

interface Program {
  readonly id: number;
  readonly type: string;
  readonly name: string;
  /** ISO date. */
  readonly loadedAt: string;
}

/** Of enum bpf_prog_type (include/uapi/linux/bpf.h), those whose verdict can drop a packet. */
const DROPPING: ReadonlyMap<number, string> = new Map([
  [3, 'sched_cls'],
  [4, 'sched_act'],
  [6, 'xdp'],
  [8, 'cgroup_skb'],
]);

/** struct bpf_prog_info, down to `name`. */
const INFO_BYTES = 80;
const INFO = { type: 0, loadTime: 40, name: 64 } as const;

/** Those that can drop packets. */
export function programsIn(lib: LibBpf): Reading<readonly Program[]> {
  const bootedAtMs = Date.now() - uptime() * 1000;
  const programs: Program[] = [];
  const id = new Uint32Array(1);
  while (lib.nextProgramId(id[0] ?? 0, id) === 0) {
    const fd = lib.programFdById(id[0] ?? 0);
    // It may have gone meanwhile.
    if (fd < 0) {
      if (lib.errorName(lib.errno()) === 'ENOENT') continue;
      break;
    }
    const info = new DataView(new ArrayBuffer(INFO_BYTES));
    const known = lib.infoOf(fd, bytesOf(info), bytesOf(Uint32Array.of(INFO_BYTES))) === 0;
    closeSync(fd);
    const type = DROPPING.get(info.getUint32(INFO.type, true));
    if (!known || type === undefined) continue;
    const loadedMs = Number(info.getBigUint64(INFO.loadTime, true)) / 1e6;
    programs.push({
      id: id[0] ?? 0,
      type,
      name: textOf(bytesOf(info).subarray(INFO.name)),
      loadedAt: new Date(bootedAtMs + loadedMs).toISOString(),
    });
  }
  const error = lib.errorName(lib.errno());
  if (error === 'ENOENT') return ok(programs);
  return error === 'EPERM' || error === 'EACCES'
    ? unread('denied', 'the kernel lists BPF programs for root only (CAP_SYS_ADMIN)')
    : unread('absent', `the kernel does not list its BPF programs (${error})`);
}

interface Attached {
  readonly direction: 'ingress' | 'egress';
  readonly programs: readonly number[];
}

interface AttachedToCgroup extends Attached {
  /** As seen from the mount of cgroup2: `/system.slice/ssh.service`. */
  readonly cgroup: string;
}

/** enum bpf_attach_type. Other kinds refuse system calls: of these no packet comes to be, so none is dropped. */
const CGROUP = { ingress: 0, egress: 1 } as const;

/** BPF_CGROUP_MAX_PROGS (kernel/bpf/cgroup.c), BPF_MPROG_MAX (include/linux/bpf_mprog.h). */
const MOST_PROGRAMS = 64;

/** Looks at each control group, the upper ones first. */
async function attachmentsIn(
  lib: LibBpf,
  effort: Effort,
): Promise<{ readonly attached: readonly AttachedToCgroup[]; readonly complete: boolean }> {
  const attached: AttachedToCgroup[] = [];
  // All mounts show the same.
  const mount = mountsOf('cgroup2').find(({ reachedBy }) => existsSync(reachedBy));
  if (mount === undefined) return { attached, complete: false };
  let complete = seesAll('cgroup');
  const waiting = [''];
  for (const cgroup of waiting) {
    if (effort.entriesLeft <= 0) return { attached, complete: false };
    await inPlace(() => {
      try {
        const path = `${mount.reachedBy}${cgroup}`;
        const found = attachedToCgroup(lib, path);
        complete &&= found !== undefined;
        for (const each of found ?? []) {
          attached.push({ cgroup: cgroup === '' ? '/' : cgroup, ...each });
        }
        const entries = readdirSync(path, { withFileTypes: true });
        effort.entriesLeft -= entries.length;
        for (const entry of entries) {
          if (entry.isDirectory()) waiting.push(`${cgroup}/${entry.name}`);
        }
      } catch (error) {
        // Else the control group is gone.
        complete &&= errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV';
      }
    });
  }
  return { attached, complete };
}

function attachedToCgroup(lib: LibBpf, path: string): readonly Attached[] | undefined {
  const fd = openSync(path, 'r');
  try {
    return attachedTo(lib, fd, CGROUP);
  } finally {
    closeSync(fd);
  }
}

/**
 * Undefined: the kernel does not say.
 *
 * @param place what the kernel takes for a place of this kind
 * @param types enum bpf_attach_type
 */
export function attachedTo(
  lib: LibBpf,
  place: number,
  types: Readonly<Record<Attached['direction'], number>>,
): readonly Attached[] | undefined {
  const attached: Attached[] = [];
  for (const direction of ['ingress', 'egress'] as const) {
    const ids = new Uint32Array(MOST_PROGRAMS);
    const count = Uint32Array.of(MOST_PROGRAMS);
    const failed = lib.programsAt(place, types[direction], 0, new Uint32Array(1), ids, count);
    if (failed !== 0) return undefined;
    const programs = [...ids.subarray(0, count[0])];
    if (programs.length > 0) attached.push({ direction, programs });
  }
  return attached;
}

function bytesOf({ buffer }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer);
}

/** Up to its NUL. */
function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
