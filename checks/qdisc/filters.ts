import type { Host } from '../../src/model/host.ts';
import {
  isObject,
  numberOf,
  objectOf,
  parseIprouteJson,
  programOf,
  textOf,
  type BpfProgram,
} from '../iproute-json.ts';

export interface TcFilter {
  readonly direction: 'ingress' | 'egress';
  /** `bpf`, `flower`, `u32` … */
  readonly kind: string;
  readonly preference?: number;
  /** BPF program. */
  readonly program?: BpfProgram;
  /** Kinds of its actions: `police`, `gact`, `mirred` … */
  readonly actions: readonly string[];
}

/** A BPF program at the same hooks that no qdisc knows of (tcx, Linux 6.6 and newer). */
export interface TcxProgram {
  readonly device: string;
  readonly direction: TcFilter['direction'];
  readonly program: BpfProgram;
}

/** What whydrop itself asks of the kernel (src/host/tcx-programs.ts). */
const TCX_PROGRAMS = 'whydrop-tcx-programs';

const commandTimeoutMs = 1000;

/** What hangs on the clsact or ingress hook of a device. Nothing where tc does not say. */
export async function readFilters(host: Host, device: string): Promise<readonly TcFilter[]> {
  const directions = ['ingress', 'egress'] as const;
  const lists = await Promise.all(
    directions.map(async (direction) => {
      const run = await host.run(['tc', '-j', 'filter', 'show', 'dev', device, direction], {
        timeoutMs: commandTimeoutMs,
      });
      return run.status === 'ok' ? parseFilters(run.value.stdout, direction) : [];
    }),
  );
  return lists.flat();
}

/** Output of `tc -j filter show dev DEVICE ingress`. */
export function parseFilters(text: string, direction: TcFilter['direction']): readonly TcFilter[] {
  const list = parseIprouteJson(text, 'tc -j filter');
  if (list.status !== 'ok') return [];
  return list.value.flatMap((filter): TcFilter[] => {
    const kind = textOf(filter, 'kind');
    // Each kind has a heading without options.
    if (kind === undefined || !('options' in filter)) return [];
    const options = objectOf(filter, 'options');
    const preference = numberOf(filter, 'pref');
    const program = programOf(objectOf(options, 'prog'));
    const actions = Array.isArray(options['actions']) ? options['actions'] : [];
    return [
      {
        direction,
        kind,
        ...(preference !== undefined && { preference }),
        ...(program !== undefined && { program }),
        actions: actions.flatMap((action: unknown) => actionKind(action)),
      },
    ];
  });
}

function actionKind(action: unknown): string[] {
  if (typeof action !== 'object' || action === null || !('kind' in action)) return [];
  return typeof action.kind === 'string' ? [action.kind] : [];
}

/** Of one namespace. Nothing where the kernel does not say. */
export async function readTcxPrograms(host: Host): Promise<readonly TcxProgram[]> {
  const run = await host.run([TCX_PROGRAMS]);
  return run.status === 'ok' ? parseTcxPrograms(run.value.stdout) : [];
}

/** `[{"device":"eth0","direction":"ingress","programs":[{"id":7,"name":"deny"}]}]` */
export function parseTcxPrograms(text: string): readonly TcxProgram[] {
  const list = parseIprouteJson(text, TCX_PROGRAMS);
  if (list.status !== 'ok') return [];
  return list.value.flatMap((attached): TcxProgram[] => {
    const device = textOf(attached, 'device');
    const direction = textOf(attached, 'direction');
    const programs: unknown = attached['programs'];
    if (device === undefined || (direction !== 'ingress' && direction !== 'egress')) return [];
    return (Array.isArray(programs) ? programs : []).flatMap((entry: unknown): TcxProgram[] => {
      const program = isObject(entry) ? programOf(entry) : undefined;
      return program === undefined ? [] : [{ device, direction, program }];
    });
  });
}
