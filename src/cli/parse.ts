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

/**
 * Causes, or fixes of causes (`CAUSE/FIX`), by the present id of the cause, which may have been given by an older one.
 *
 * @throws UsageError for an id nobody knows, with the nearest
 */
export function presentCauseIds(
  option: string,
  ids: readonly string[],
  causes: readonly { readonly id: string; readonly aliases: readonly string[] }[],
): string[] {
  return ids.map((name) => {
    const [given = '', ...fix] = name.split('/');
    const cause = causes.find(({ id, aliases }) => id === given || aliases.includes(given));
    if (cause !== undefined) return [cause.id, ...fix].join('/');
    const near = causes
      .flatMap(({ id, aliases }) => [id, ...aliases])
      .filter((other) => other.includes(given) || given.includes(other));
    const hint =
      near.length > 0
        ? `did you mean ${near.join(' or ')}?`
        : '`whydrop list causes` names them all';
    throw new UsageError(`${option} ${given}: there is no such cause; ${hint}`);
  });
}
