import { UsageError } from './usage-error.ts';

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m)?$/;
const SECONDS_PER: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60 };
/** A window longer than this is `whydrop watch` or a cron job, and would grow the recording without end. */
const LONGEST_SECONDS = 3600;

/** `5s`, `500ms`, `2m`, `0`; a bare number is seconds. */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text.trim());
  const perUnit = SECONDS_PER[match?.[2] ?? 's'];
  if (match === null || perUnit === undefined) {
    throw new UsageError(`--duration ${text}: write a number and a unit, such as 5s, 500ms or 2m`);
  }
  const seconds = Number(match[1]) * perUnit;
  if (seconds > LONGEST_SECONDS)
    throw new UsageError(`--duration ${text}: one hour is the longest`);
  return seconds;
}

/** `ID` or `ID@scope`. */
export function parseIgnore(text: string): { id: string; scope?: string; reason: string } {
  const at = text.indexOf('@');
  const reason = `ignored on request (--ignore ${text})`;
  return at === -1
    ? { id: text, reason }
    : { id: text.slice(0, at), scope: text.slice(at + 1), reason };
}

/** Refuses cause ids nobody knows, and names the nearest. */
export function checkCauseIds(
  option: string,
  ids: readonly string[],
  known: readonly string[],
): void {
  for (const id of ids) {
    if (known.includes(id)) continue;
    const near = known.filter((other) => other.includes(id) || id.includes(other));
    const hint =
      near.length > 0
        ? `did you mean ${near.join(' or ')}?`
        : '`whydrop list causes` names them all';
    throw new UsageError(`${option} ${id}: there is no such cause; ${hint}`);
  }
}
