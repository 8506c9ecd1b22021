import type { BpfPrograms } from '../checks/programs.ts';
import type { Sampled } from '../src/model/check.ts';
import type { Observation } from '../src/model/rule.ts';

/** More holders and pins of one program are not named. */
const NAMED_HOLDERS = 2;

/** `held by agent (pid 812, agent.service)`, `pinned at /sys/fs/bpf/deny`. Undefined: nobody is known. */
export function holderOf(
  programs: Sampled<BpfPrograms> | undefined,
  id: number,
): string | undefined {
  const { holders = [], pins = [] } = programs?.last.programs.get(id) ?? {};
  const ways = [
    ...holders.map(
      ({ pid, name, unit }) =>
        `held by ${name} (pid ${pid}${unit === undefined ? '' : `, ${unit}`})`,
    ),
    ...pins.map((path) => `pinned at ${path}`),
  ];
  return ways.length === 0 ? undefined : ways.slice(0, NAMED_HOLDERS).join(', ');
}

/** `, held by …` to follow the name of a program; nothing where nobody is known. */
export function heldBy(programs: Sampled<BpfPrograms> | undefined, id: number): string {
  const holder = holderOf(programs, id);
  return holder === undefined ? '' : `, ${holder}`;
}

/** Who holds these programs and since when they are loaded, as far as that is known. */
export function observedHolders(
  programs: Sampled<BpfPrograms> | undefined,
  ids: readonly number[],
): readonly Observation[] {
  return [...new Set(ids)].flatMap((id): Observation[] => {
    const program = programs?.last.programs.get(id);
    if (program === undefined) return [];
    const nobody =
      programs?.last.allHolders === true
        ? 'held by no process and pinned nowhere: it lives on where it is attached, as ip and tc leave it'
        : 'who holds it was not found';
    // To the minute: `2026-11-22 09:00`.
    const loadedAt = program.loadedAt.slice(0, 16).replace('T', ' ');
    return [
      {
        source: `bpftool prog show id ${id}`,
        text: `${holderOf(programs, id) ?? nobody}; loaded ${loadedAt} UTC`,
      },
    ];
  });
}
