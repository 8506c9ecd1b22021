import type { ReportCause } from '../model/report.ts';

/** A cause the administrator does not want to hear of, in one scope or (scope absent) anywhere. */
export interface Suppression {
  readonly id: string;
  /** A name as the report shows it: interface, namespace, process, socket, rule or flow. */
  readonly scope?: string;
  readonly reason: string;
}

export interface SuppressOptions {
  /** Cause ids to report; empty: all. The others are still judged, so that their drops are explained. */
  readonly only: readonly string[];
  readonly suppressions: readonly Suppression[];
}

/** Why a cause is left out; undefined: it is not. */
export function suppressionOf(
  cause: Pick<ReportCause, 'id' | 'scope'>,
  { only, suppressions }: SuppressOptions,
): string | undefined {
  if (only.length > 0 && !only.includes(cause.id)) return 'not asked for (--only)';
  return suppressions.find((entry) => covers(entry, cause))?.reason;
}

function covers(suppression: Suppression, { id, scope }: Pick<ReportCause, 'id' | 'scope'>) {
  if (suppression.id !== id) return false;
  const { interface: name, netns, socket, rule, flow, process } = scope;
  return (
    suppression.scope === undefined ||
    [name, netns, socket, rule, flow, process?.name].includes(suppression.scope)
  );
}
