import type { Progress } from '../engine/collect.ts';
import type { Suppression } from '../engine/suppress.ts';
import type { ReplayHost } from '../host/index.ts';
import type { Host, Machine } from '../model/host.ts';
import { checks } from '../../checks/index.ts';
import { rules } from '../../rules/index.ts';
import { diagnose, type DiagnoseOptions, type Diagnosis } from '../engine/diagnose.ts';
import { diagnoseMachine } from '../engine/machine.ts';
import type { ConfiguredSuppression } from './config.ts';
import { DEFAULT_DURATION } from './options.ts';
import { parseDuration, parseIgnore, presentCauseIds } from './parse.ts';
import { version } from './version.ts';

/** What to measure: the measuring options of the command line, parsed. */
export interface MeasureRequest {
  readonly seconds: number;
  readonly netns: string | null;
  readonly interfaces: readonly string[];
  readonly capture: 'auto' | 'bpf' | 'tracefs' | 'none';
  /** Causes, or fixes of causes (`CAUSE/FIX`). */
  readonly only: readonly string[];
  readonly ignore: readonly Suppression[];
  /** For the report: what the configuration says that does not hold any more. */
  readonly notes: readonly string[];
}

export interface MeasureFlags {
  duration?: string;
  netns?: string;
  iface?: string[];
  capture: 'auto' | 'bpf' | 'tracefs' | 'none';
  only?: string[];
  ignore?: string[];
  suppressions?: readonly ConfiguredSuppression[];
}

/**
 * @param today `2026-11-22`, in the time zone of the machine
 * @throws UsageError for a duration or a cause id that cannot be
 */
export function measureRequest(flags: MeasureFlags, today = localDate()): MeasureRequest {
  const { only = [], iface = [], suppressions = [] } = flags;
  const ended = suppressions.filter(({ until }) => until !== undefined && until < today);
  return {
    seconds: parseDuration(flags.duration ?? DEFAULT_DURATION),
    netns: flags.netns ?? null,
    interfaces: iface,
    capture: flags.capture,
    only: presentCauseIds('--only', only, rules),
    ignore: [
      ...(flags.ignore ?? []).map((text) => present('--ignore', parseIgnore(text))),
      ...suppressions
        .filter((suppression) => !ended.includes(suppression))
        .map(({ file, until, reason, ...which }) =>
          present(`${file}: suppress`, {
            ...which,
            reason: until === undefined ? reason : `${reason} (until ${until})`,
          }),
        ),
    ],
    notes: ended.map(
      ({ id, scope, until, file }) =>
        `${id}${scope === undefined ? '' : ` on ${scope}`} is not suppressed any more: that ended on ${until} (${file}).`,
    ),
  };
}

function present(where: string, suppression: Suppression): Suppression {
  const [id = suppression.id] = presentCauseIds(where, [suppression.id], rules);
  return { ...suppression, id };
}

function localDate(): string {
  const now = new Date();
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

export async function measure(
  target: Host | ReplayHost | Machine,
  request: MeasureRequest,
  watching: { onProgress?: (progress: Progress) => void; signal?: AbortSignal },
): Promise<Diagnosis> {
  const options: DiagnoseOptions = {
    version,
    ...windowOf(target, request),
    capture: request.capture,
    only: request.only.map((name) => name.split('/')[0] ?? name),
    suppressions: request.ignore,
    notes: request.notes,
    ...watching,
  };
  return 'initial' in target && 'others' in target
    ? diagnoseMachine(target, checks, rules, options)
    : diagnose(target, checks, rules, options);
}

/** A recording has a window of its own, whatever the flags ask for. */
function windowOf(
  target: Host | ReplayHost | Machine,
  { seconds, interfaces }: MeasureRequest,
): Pick<DiagnoseOptions, 'seconds' | 'startedAt' | 'interfaces'> {
  if (!('header' in target)) return { seconds, startedAt: new Date(), interfaces };
  const { header } = target;
  const recorded = header.options['interfaces'];
  return {
    seconds: header.seconds,
    startedAt: new Date(header.startedAt),
    interfaces: interfaces.length === 0 && Array.isArray(recorded) ? recorded : interfaces,
  };
}
