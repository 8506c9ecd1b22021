import { closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import process from 'node:process';
import type { LibBpf } from '../capture/bpf/libbpf.ts';
import { errnoOf } from './errno.ts';
import { inPlace } from './in-place.ts';
import { mountsOf } from './mounts.ts';

/** By number of the program. */
interface Found<Value> {
  readonly found: ReadonlyMap<number, readonly Value[]>;
  /** All places were looked at, or enough of them: none of these programs can be held elsewhere. */
  readonly complete: boolean;
}

/** What a search may still cost. */
export interface Effort {
  /** Of directories; each that is looked at counts. */
  entriesLeft: number;
}

export interface ProgramHolder {
  readonly pid: number;
  readonly name: string;
  /** `/system.slice/cilium.service`; empty: none that tells. */
  readonly cgroup: string;
}

/** Paths in bpffs that keep these programs loaded, or links that attach them. */
export async function findPins(
  programs: ReadonlySet<number>,
  lib: LibBpf,
  effort: Effort,
): Promise<Found<string>> {
  const found = new Map<number, string[]>();
  if (programs.size === 0) return { found, complete: true };
  const waiting = [...mountsOf('bpf')];
  let complete = true;
  for (const directory of waiting) {
    if (effort.entriesLeft <= 0) return { found, complete: false };
    await inPlace(() => {
      const entries = entriesOf(directory.reachedBy);
      complete &&= entries !== undefined;
      effort.entriesLeft -= entries?.length ?? 0;
      for (const entry of entries ?? []) {
        const path = `${directory.path}/${entry.name}`;
        const reachedBy = `${directory.reachedBy}/${entry.name}`;
        if (entry.isDirectory()) waiting.push({ path, reachedBy });
        else {
          const program = programPinnedAt(lib, reachedBy);
          if (program !== undefined && programs.has(program)) add(found, program, path);
        }
      }
    });
  }
  return { found, complete };
}

function programPinnedAt(lib: LibBpf, path: string): number | undefined {
  const fd = lib.openPin(path);
  if (fd < 0) return undefined;
  try {
    return programOf(`/proc/self/fdinfo/${fd}`);
  } finally {
    closeSync(fd);
  }
}

/** PROC_PID_INIT_INO and PROC_CGROUP_INIT_INO (include/linux/proc_ns.h). */
const INITIAL = { pid: 'pid:[4026531836]', cgroup: 'cgroup:[4026531835]' } as const;

/** We are in no container that hides processes, or control groups, of the machine. */
export function seesAll(kind: keyof typeof INITIAL, proc = '/proc'): boolean {
  return linkOf(`${proc}/self/ns/${kind}`) === INITIAL[kind];
}

/**
 * Processes with an open file of these programs, or of links that attach them. The search ends when each has one: a
 * service manager, which comes first, often has them all.
 */
export async function findHolders(
  programs: ReadonlySet<number>,
  effort: Effort,
  proc = '/proc',
): Promise<Found<ProgramHolder>> {
  const found = new Map<number, ProgramHolder[]>();
  let complete = seesAll('pid', proc);
  const pids = (entriesOf(proc) ?? [])
    .map(({ name }) => Number(name))
    .filter((pid) => pid > 0 && pid !== process.pid)
    .sort((a, b) => a - b);
  for (const pid of pids) {
    if (found.size === programs.size) break;
    if (effort.entriesLeft <= 0) return { found, complete: false };
    await inPlace(() => {
      const held = programsHeldBy(`${proc}/${pid}`, effort);
      complete &&= held !== undefined;
      for (const program of new Set(held)) {
        if (programs.has(program)) add(found, program, holderOf(`${proc}/${pid}`, pid));
      }
    });
  }
  return { found, complete: complete || found.size === programs.size };
}

function programsHeldBy(process: string, effort: Effort): readonly number[] | undefined {
  const files = entriesOf(`${process}/fd`);
  effort.entriesLeft -= files?.length ?? 0;
  return files?.flatMap(({ name: fd }) => {
    if (!/^anon_inode:\[?bpf[-_](?:prog|link)/.test(linkOf(`${process}/fd/${fd}`))) return [];
    return programOf(`${process}/fdinfo/${fd}`) ?? [];
  });
}

/** Programs and links say the same there (bpf_prog_show_fdinfo, bpf_link_show_fdinfo, Linux 6.18). */
function programOf(fdinfo: string): number | undefined {
  const id = /^prog_id:\s*(\d{1,10})$/m.exec(textOf(fdinfo))?.[1];
  return id === undefined ? undefined : Number(id);
}

function holderOf(process: string, pid: number): ProgramHolder {
  // Of cgroup2, or where that is not in use yet those that systemd keeps.
  const cgroup = /^(?:0:|\d+:name=systemd):(\/.+)$/m.exec(textOf(`${process}/cgroup`));
  return { pid, name: textOf(`${process}/comm`).trimEnd(), cgroup: cgroup?.[1] ?? '' };
}

function add<Value>(found: Map<number, Value[]>, program: number, value: Value): void {
  const values = found.get(program);
  if (values === undefined) found.set(program, [value]);
  else values.push(value);
}

// Processes end and pins go while we look.

/** Undefined: not for us to see. */
function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '') ? [] : undefined;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
