import { defineCheck } from '../src/model/check.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';
import { isList, isObject, numberIn, textIn, type Json, type JsonObject } from './firewall/json.ts';

/** What whydrop itself asks of the kernel (src/host/bpf-programs.ts). */
const BPF_PROGRAMS = 'whydrop-bpf-programs';

/** BPF programs of the machine that can drop packets. Looked at in the last reading only. */
export interface BpfPrograms {
  /** By number. Of those for control groups, the ones that are attached. */
  readonly programs: ReadonlyMap<number, LoadedProgram>;
  readonly attached: readonly CgroupAttachment[];
  /** Every control group was looked at: what is not in `attached` is not there. */
  readonly allAttached: boolean;
  /** So were pins and processes: a program with neither is held by nobody. */
  readonly allHolders: boolean;
}

export interface LoadedProgram {
  readonly id: number;
  /** Up to 15 characters; untrusted, and often empty. */
  readonly name: string;
  /** ISO date. */
  readonly loadedAt: string;
  /** Paths below a mount of bpffs. */
  readonly pins: readonly string[];
  /** Not all of them: the search ends when each program has a pin or a holder. */
  readonly holders: readonly ProgramHolder[];
}

export interface ProgramHolder {
  readonly pid: number;
  /** Untrusted: a process chooses its name. */
  readonly name: string;
  /** Its systemd unit; absent: none that is known. */
  readonly unit?: string;
}

export interface CgroupAttachment {
  /** As seen from the mount of cgroup2: `/system.slice/ssh.service`; `/` judges all. */
  readonly cgroup: string;
  readonly direction: 'ingress' | 'egress';
  readonly programs: readonly number[];
}

const notLooked: BpfPrograms = {
  programs: new Map(),
  attached: [],
  allAttached: false,
  allHolders: false,
};

export default defineCheck<BpfPrograms>({
  id: 'programs',
  title: 'BPF programs that can drop packets, and who holds them',
  sources: ['bpf(2)', '/sys/fs/cgroup', '/sys/fs/bpf', '/proc/*/fdinfo'],
  hostWide: true,
  timeoutMs: 10_000,
  async read(host, { phase }) {
    if (phase !== 'last') return ok(notLooked);
    const output = await host.initial.run([BPF_PROGRAMS]);
    return output.status === 'ok' ? parsePrograms(output.value.stdout) : output;
  },
});

/**
 * `{"programs":[{"id":7,"type":"xdp","name":"deny","loadedAt":"2026-11-22T09:00:00.000Z","pins":["/sys/fs/bpf/deny"],
 * "holders":[{"pid":812,"name":"agent","cgroup":"/system.slice/agent.service"}]}],
 * "attached":[{"cgroup":"/system.slice/web.service","direction":"egress","programs":[7]}],
 * "complete":{"cgroups":true,"holders":true}}`
 */
export function parsePrograms(text: string): Reading<BpfPrograms> {
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    parsed = null;
  }
  if (!isObject(parsed) || !isList(parsed['programs']) || !isList(parsed['attached'])) {
    return unread('malformed', `${BPF_PROGRAMS} printed something else.`);
  }
  const complete = isObject(parsed['complete']) ? parsed['complete'] : {};
  const programs = parsed['programs'].flatMap((program) => programIn(program) ?? []);
  return ok({
    programs: new Map(programs.map((program) => [program.id, program])),
    attached: parsed['attached'].flatMap((attachment) => attachmentIn(attachment) ?? []),
    allAttached: complete['cgroups'] === true,
    allHolders: complete['holders'] === true,
  });
}

function programIn(program: Json): LoadedProgram | undefined {
  if (!isObject(program)) return undefined;
  const id = numberIn(program, 'id');
  if (id === undefined) return undefined;
  return {
    id,
    name: textIn(program, 'name') ?? '',
    loadedAt: textIn(program, 'loadedAt') ?? '',
    pins: listIn(program, 'pins').filter((pin) => typeof pin === 'string'),
    holders: listIn(program, 'holders').flatMap((holder) => holderIn(holder) ?? []),
  };
}

function holderIn(holder: Json): ProgramHolder | undefined {
  if (!isObject(holder)) return undefined;
  const pid = numberIn(holder, 'pid');
  if (pid === undefined) return undefined;
  const unit = unitOf(textIn(holder, 'cgroup') ?? '');
  return { pid, name: textIn(holder, 'name') ?? '', ...(unit !== undefined && { unit }) };
}

function attachmentIn(attachment: Json): CgroupAttachment | undefined {
  if (!isObject(attachment)) return undefined;
  const cgroup = textIn(attachment, 'cgroup');
  const direction = textIn(attachment, 'direction');
  if (cgroup === undefined || (direction !== 'ingress' && direction !== 'egress')) return undefined;
  const programs = listIn(attachment, 'programs').filter((id) => typeof id === 'number');
  return { cgroup, direction, programs };
}

function listIn(object: JsonObject, name: string): readonly Json[] {
  const value = object[name];
  return isList(value) ? value : [];
}

/** The systemd unit whose control group this is, or is in. `/system.slice/web.service/worker` is of web.service. */
export function unitOf(cgroup: string): string | undefined {
  return cgroup
    .split('/')
    .findLast((part) => /.\.(?:service|scope|slice|socket|mount)$/.test(part));
}
