import type { Progress } from '../engine/collect.ts';
import type { ReplayHost } from '../host/index.ts';
import type { Host } from '../model/host.ts';
import { checks } from '../../checks/index.ts';
import { rules } from '../../rules/index.ts';
import { diagnose, type DiagnoseOptions, type Diagnosis } from '../engine/diagnose.ts';
import { DEFAULT_DURATION } from './options.ts';
import { checkCauseIds, parseDuration, parseIgnore } from './parse.ts';
import { version } from './version.ts';

/** What to measure: the measuring options of the command line, parsed. */
export interface MeasureRequest {
  readonly seconds: number;
  readonly netns: string | null;
  readonly interfaces: readonly string[];
  readonly capture: 'auto' | 'bpf' | 'tracefs' | 'none';
  readonly only: readonly string[];
  readonly ignore: readonly { id: string; scope?: string; reason: string }[];
}

export interface MeasureFlags {
  duration?: string;
  netns?: string;
  iface?: string[];
  capture: 'auto' | 'bpf' | 'tracefs' | 'none';
  only?: string[];
  ignore?: string[];
}

/** @throws UsageError for a duration or a cause id that cannot be. */
export function measureRequest(flags: MeasureFlags): MeasureRequest {
  const known = rules.map(({ id }) => id);
  const { only = [], iface = [] } = flags;
  const ignore = (flags.ignore ?? []).map(parseIgnore);
  checkCauseIds(
    '--only',
    only.map((id) => id.split('/')[0] ?? id),
    known,
  );
  checkCauseIds(
    '--ignore',
    ignore.map(({ id }) => id),
    known,
  );
  return {
    seconds: parseDuration(flags.duration ?? DEFAULT_DURATION),
    netns: flags.netns ?? null,
    interfaces: iface,
    capture: flags.capture,
    only,
    ignore,
  };
}

export async function measure(
  host: Host | ReplayHost,
  request: MeasureRequest,
  watching: { onProgress?: (progress: Progress) => void; signal?: AbortSignal },
): Promise<Diagnosis> {
  return diagnose(host, checks, rules, {
    version,
    ...windowOf(host, request),
    capture: request.capture,
    only: request.only.map((id) => id.split('/')[0] ?? id),
    suppressions: request.ignore,
    ...watching,
  });
}

/** A recording has a window of its own, whatever the flags ask for. */
function windowOf(
  host: Host | ReplayHost,
  { seconds, interfaces }: MeasureRequest,
): Pick<DiagnoseOptions, 'seconds' | 'startedAt' | 'interfaces'> {
  if (!('header' in host)) return { seconds, startedAt: new Date(), interfaces };
  const { header } = host;
  const recorded = header.options['interfaces'];
  return {
    seconds: header.seconds,
    startedAt: new Date(header.startedAt),
    interfaces: interfaces.length === 0 && Array.isArray(recorded) ? recorded : interfaces,
  };
}
