import { lstat, mkdir } from 'node:fs/promises';
import path from 'node:path';

import { errnoOf } from '../host/errno.ts';
import { readTextFile } from '../host/files.ts';
import { ok, unread, type Reading } from '../model/reading.ts';
import { keyAtBoot, parseSettings, readBootSettings, type BootSetting } from './boot-settings.ts';
import { removeFile, replaceFile } from './durable-file.ts';

/** One key of our file: `value` null removes it. */
export interface DropInChange {
  readonly key: string;
  readonly value: string | null;
  /** What the line must say now for us to touch it; absent: whatever it says. */
  readonly onlyIf?: string;
  /** For the comment above the line: the entry of the journal, and the fix. */
  readonly note: string;
}

const header = [
  '# Written by whydrop: settings that cured packet loss on this host.',
  "# Take one back with 'whydrop undo', or delete its line; then run 'sysctl --system'.",
];
const noteStart = '# whydrop ';

/** Below the root directory. */
const relativePath = 'etc/sysctl.d/90-whydrop.conf';

export function dropInPath(root: string): string {
  return path.join(root, relativePath);
}

/**
 * Merges changes into our file; lines of other people in it stay. The file goes when nothing is left
 * in it. Repeating a change does nothing, so it may be tried again after a crash.
 */
export async function changeDropIn(
  root: string,
  changes: readonly DropInChange[],
): Promise<Reading<null>> {
  const file = dropInPath(root);
  try {
    const found = await lstat(file).catch(() => undefined);
    if (found !== undefined && !found.isFile()) {
      return unread('denied', `${file} is not a plain file (masked by a link?): left as it is`);
    }
    const old = found === undefined ? undefined : await readTextFile(file);
    if (old !== undefined && old.status !== 'ok') return old;
    const text = editDropIn(old?.value ?? '', changes);
    if (text === '') {
      if (old !== undefined) await removeFile(file);
    } else if (text !== old?.value) {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o755 });
      await replaceFile(file, text, 0o644);
    }
    return ok(null);
  } catch (error) {
    return unread('denied', `${file} cannot be written (${errnoOf(error) ?? String(error)})`);
  }
}

/** The new text of the file; empty: nothing is left in it but what we wrote around settings. */
export function editDropIn(text: string, changes: readonly DropInChange[]): string {
  let lines = text.split('\n').filter((line) => !header.includes(line));
  while (lines.at(-1) === '') lines.pop();
  for (const change of changes) lines = applyChange(lines, change);
  return lines.every((line) => line.trim() === '') ? '' : [...header, ...lines, ''].join('\n');
}

function applyChange(lines: readonly string[], change: DropInChange): string[] {
  const fresh =
    change.value === null ? [] : [`${noteStart}${change.note}`, `${change.key} = ${change.value}`];
  const present = lines.findIndex((line) => valueOf(line, change.key) !== undefined);
  if (present === -1) return change.onlyIf === undefined ? [...lines, ...fresh] : [...lines];
  if (change.onlyIf !== undefined && valueOf(lines[present] ?? '', change.key) !== change.onlyIf) {
    return [...lines];
  }
  const start = lines[present - 1]?.startsWith(noteStart) === true ? present - 1 : present;
  return [...lines.slice(0, start), ...fresh, ...lines.slice(present + 1)];
}

function valueOf(line: string, key: string): string | undefined {
  const [setting] = parseSettings('', line);
  return setting?.pattern === key ? (setting.value ?? undefined) : undefined;
}

/** Modules that bring keys of their own: before they are loaded, the key is not there to be set. */
const keysOfModules: readonly (readonly [prefix: string, module: string])[] = [
  ['net.netfilter.nf_conntrack', 'nf_conntrack'],
  ['net.nf_conntrack', 'nf_conntrack'],
  ['net.bridge.', 'br_netfilter'],
  ['net.ipv4.vs.', 'ip_vs'],
  ['net.sctp.', 'sctp'],
];

/** Why our line for `key` may not come to effect at the next boot; empty: nothing known against it. */
export async function persistWarnings(root: string, key: string): Promise<readonly string[]> {
  const warnings: string[] = [];
  const ours: BootSetting = { file: dropInPath(root), line: 0, pattern: key, value: '' };
  const later = (await readBootSettings(root)).filter(({ file }) => isAfterOurs(file));
  const { winner } = keyAtBoot([ours, ...later], key);
  if (winner !== undefined && winner !== ours) {
    warnings.push(
      `${winner.file} line ${winner.line} sets ${key} to ${winner.value ?? ''} later at boot and wins: change it there`,
    );
  }
  const module = keysOfModules.find(([prefix]) => key.startsWith(prefix))?.[1];
  if (module !== undefined) {
    warnings.push(
      `${key} exists only once the module ${module} is loaded: name the module in /etc/modules-load.d, or the line is skipped at boot`,
    );
  }
  return warnings;
}

/** The order of readBootSettings: sysctl.d by file name, then the files beside it. */
function isAfterOurs(file: string): boolean {
  return (
    path.basename(path.dirname(file)) !== 'sysctl.d' ||
    path.basename(file) > path.basename(relativePath)
  );
}

/** Files of sysctl.d(5) are applied in the initial namespace only. */
export function notPersisted(key: string): string {
  return `${key} is in another network namespace, which no file in /etc/sysctl.d reaches: set it where that namespace is made`;
}
