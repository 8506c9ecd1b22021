import type { Host } from '../src/model/host.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

/** A full Internet table takes longer to print than the answer is worth; a starved machine takes 0.5 s to start `ip`. */
export const ipCommandTimeoutMs = 1500;

/** Kinds of route that refuse packets on purpose; blackhole without an answer to the sender. */
export const refusals = ['blackhole', 'unreachable', 'prohibit'] as const;

export type Refusal = (typeof refusals)[number];

export function isRefusal(type: string | undefined): type is Refusal {
  return refusals.some((refusal) => refusal === type);
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** @param command of `ip`, with `-j` */
export async function listByIp(
  host: Host,
  command: readonly ['ip', ...string[]],
): Promise<Reading<readonly JsonObject[]>> {
  const run = await host.run(command, { timeoutMs: ipCommandTimeoutMs });
  return run.status === 'ok' ? parseIprouteJson(run.value.stdout, command.join(' ')) : run;
}

/**
 * What `ip -j` and `tc -j` print: a list of objects. Two things keep it from being JSON that
 * JSON.parse may have: 64-bit counters above 2^53 (they come back as strings of digits: read them with
 * `counterOf`), and raw control characters in names (iproute2 escapes only `\n` and the like).
 */
export function parseIprouteJson(text: string, command: string): Reading<readonly JsonObject[]> {
  // Nothing to list: some versions print nothing at all.
  if (text.trim() === '') return ok([]);
  let parsed: unknown;
  try {
    parsed = parseRepaired(text);
  } catch {
    return unread('malformed', `${command} printed broken JSON, as old versions of iproute2 do.`);
  }
  return Array.isArray(parsed)
    ? ok(parsed.filter(isObject))
    : unread('malformed', `${command} printed something else than a list.`);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that is an object, else an empty one. */
export function objectOf(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return isObject(value) ? value : {};
}

/** A member that is a counter or a level, exact to 64 bits. */
export function counterOf(object: JsonObject, name: string): bigint | undefined {
  const value = object[name];
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

/** A BPF program: `{"id":12,"name":"drop","tag":"…"}`. */
export interface BpfProgram {
  readonly id: number;
  readonly name: string;
}

export function programOf(program: JsonObject): BpfProgram | undefined {
  const id = numberOf(program, 'id');
  return id === undefined ? undefined : { id, name: textOf(program, 'name') ?? '' };
}

export function numberOf(object: JsonObject, name: string): number | undefined {
  const value = object[name];
  return typeof value === 'number' ? value : undefined;
}

export function textOf(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === 'string' ? value : undefined;
}

/** A string that never ends is taken to the end of the text, so that the search stays linear. */
const stringOrBigNumber = /"[^"\\]*(?:\\[^][^"\\]*)*(?:"|\\?$)|(?<![\w.+-])\d{16,}(?![\w.])/g;
const escapeOrControl = /\\[^]|[\u0000-\u001f]/g;

/** The repair takes three times as long as the parsing, and is seldom needed. */
function parseRepaired(text: string): unknown {
  if (!/\d{16}/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      // A name with a control character, if nothing worse.
    }
  }
  return JSON.parse(text.replaceAll(stringOrBigNumber, repair));
}

function repair(token: string): string {
  return token.startsWith('"') ? token.replaceAll(escapeOrControl, repairCharacter) : `"${token}"`;
}

function repairCharacter(text: string): string {
  if (text.startsWith('\\')) return text;
  return `\\u${text.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
