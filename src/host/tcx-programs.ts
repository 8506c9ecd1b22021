import { readFileSync } from 'node:fs';
import { loadKoffi, loadLibBpf } from '../capture/bpf/libbpf.ts';
import type { CommandOutput } from '../model/host.ts';
import { ok, type Reading } from '../model/reading.ts';
import { attachedTo, programsIn } from './bpf-programs.ts';
import { inPlace } from './in-place.ts';
import type { Within } from './visits.ts';

/**
 * BPF programs attached to interfaces of a network namespace by tcx (Linux 6.6 and newer), which tc does not list
 * (checks/qdisc/filters.ts has the form).
 */
export async function readTcxPrograms(within: Within): Promise<Reading<CommandOutput>> {
  const [lib, loaded] = await Promise.all([loadLibBpf(), loadKoffi()]);
  if (lib.status !== 'ok') return lib;
  if (loaded.status !== 'ok') return loaded;
  const listed = programsIn(lib.value);
  if (listed.status !== 'ok') return listed;
  const names = new Map(
    listed.value.flatMap(({ id, type, name }) => (type === 'sched_cls' ? [[id, name]] : [])),
  );
  const ifindexOf = loaded.value
    .load(null)
    .func('unsigned int if_nametoindex(const char *name)') as (name: string) => number;
  const attached =
    names.size === 0
      ? []
      : await inPlace(() =>
          within(() =>
            interfaces().flatMap((device) =>
              (attachedTo(lib.value, ifindexOf(device), TCX) ?? []).map(
                ({ direction, programs }) => ({
                  device,
                  direction,
                  programs: programs.map((id) => ({ id, name: names.get(id) ?? '' })),
                }),
              ),
            ),
          ),
        );
  return ok({ stdout: JSON.stringify(attached), stderr: '', exitCode: 0 });
}

/** enum bpf_attach_type. Of these bpf(2) takes the number of an interface for the file (tcx_prog_query, Linux 6.18). */
const TCX = { ingress: 46, egress: 47 } as const;

/** Of the namespace that this thread is in. */
function interfaces(): readonly string[] {
  const lines = readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n').slice(2);
  return lines.flatMap((line) => /^\s*(.+):\s/.exec(line)?.[1] ?? []);
}
