import { readdir, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';

import { readTextFile } from '../host/files.ts';
import { sysctlPath } from '../model/sysctl-key.ts';

/** One line of sysctl.d(5) or sysctl.conf(5). */
export interface BootSetting {
  readonly file: string;
  readonly line: number;
  /** As in the file; may be a pattern. */
  readonly pattern: string;
  /** Null: `-key` without a value, which keeps patterns away from the key. */
  readonly value: string | null;
}

export interface KeyAtBoot {
  /** All lines that set this key, in the order in which they are applied. */
  readonly setBy: readonly BootSetting[];
  /** The one whose value the key has after boot; absent: the kernel's default stays. */
  readonly winner?: BootSetting;
}

/** In the order of sysctl.d(5): a file hides those of its name in later directories. */
const directories = [
  'etc/sysctl.d',
  'run/sysctl.d',
  'usr/local/lib/sysctl.d',
  'usr/lib/sysctl.d',
  'lib/sysctl.d',
];

/**
 * All settings applied at boot, in the order of application: files of the directories by name, whatever
 * directory they are in; then what comes after systemd-sysctl: /etc/sysctl.conf (`sysctl --system`
 * of procps reads it last; Debian links it into sysctl.d instead) and ufw's own file, when ufw is on.
 *
 * @param root `/`, or a directory that stands for it
 */
export async function readBootSettings(root: string): Promise<readonly BootSetting[]> {
  const files = new Map<string, string>();
  for (const directory of directories) {
    const names = await readdir(path.join(root, directory)).catch(() => []);
    for (const name of names.filter((name) => name.endsWith('.conf') && !name.startsWith('.'))) {
      if (!files.has(name)) files.set(name, path.join(root, directory, name));
    }
  }
  const ordered = [...files.keys()].sort(byBytes).map((name) => files.get(name) ?? '');

  const classic = path.join(root, 'etc/sysctl.conf');
  const linked = await Promise.all(ordered.map(realPath));
  if (!linked.includes(await realPath(classic))) ordered.push(classic);
  if (await ufwIsOn(root)) ordered.push(path.join(root, 'etc/ufw/sysctl.conf'));

  const settings = await Promise.all(ordered.map(readSettings));
  return settings.flat();
}

/**
 * Who sets `key`, and who wins. As systemd-sysctl does it: the last line that names the key; else the
 * last pattern that matches it, unless a line `-key` forbids that.
 */
export function keyAtBoot(settings: readonly BootSetting[], key: string): KeyAtBoot {
  const wanted = sysctlPath(key)?.slice('/proc/sys/'.length);
  if (wanted === undefined) return { setBy: [] };
  const exact = settings.filter(({ pattern }) => asPath(pattern) === wanted);
  const matching = settings.filter(
    ({ pattern, value }) =>
      value !== null && isPattern(pattern) && matches(asPath(pattern), wanted),
  );
  const last = exact.at(-1) ?? matching.at(-1);
  const setBy = settings.filter(
    (setting) => setting.value !== null && (exact.includes(setting) || matching.includes(setting)),
  );
  return { setBy, ...(last !== undefined && last.value !== null && { winner: last }) };
}

/** The lines of one file. Never throws; lines that are no settings are left out, as systemd does. */
export function parseSettings(file: string, text: string): readonly BootSetting[] {
  return text.split('\n').flatMap((raw, index): BootSetting[] => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) return [];
    const optional = line.startsWith('-');
    const setting = optional ? line.slice(1).trim() : line;
    const equals = setting.indexOf('=');
    if (equals === -1) {
      return optional ? [{ file, line: index + 1, pattern: setting, value: null }] : [];
    }
    const pattern = setting.slice(0, equals).trim();
    const value = setting.slice(equals + 1).trim();
    return pattern === '' ? [] : [{ file, line: index + 1, pattern, value }];
  });
}

async function readSettings(file: string): Promise<readonly BootSetting[]> {
  const text = await readTextFile(file);
  return text.status === 'ok' ? parseSettings(file, text.value) : [];
}

/** A link to /dev/null hides a file; it is read as the empty file it is. */
async function realPath(file: string): Promise<string> {
  return await realpath(file).catch(async () => await readlink(file).catch(() => file));
}

async function ufwIsOn(root: string): Promise<boolean> {
  const text = await readTextFile(path.join(root, 'etc/ufw/ufw.conf'));
  return text.status === 'ok' && /^\s*ENABLED\s*=\s*["']?yes/im.test(text.value);
}

/** Both spellings of sysctl(8): with a slash first, slashes separate; otherwise dots do. */
function asPath(key: string): string {
  if (/[./]/.exec(key)?.[0] !== '.') return key;
  return key.replaceAll(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

function isPattern(key: string): boolean {
  return /[*?[]/.test(key);
}

/** glob(7) within path components. */
function matches(pattern: string, wanted: string): boolean {
  const [patterns, names] = [pattern.split('/'), wanted.split('/')];
  return (
    patterns.length === names.length &&
    patterns.every((pattern, index) => componentPattern(pattern).test(names[index] ?? ''))
  );
}

function componentPattern(glob: string): RegExp {
  const source = glob.replaceAll(
    /\*+|\?|\[(!?)([^\]]+)\]|[\\^$.+()|{}[\]]/g,
    (token, negated: string | undefined, set: string | undefined) => {
      if (token.startsWith('*')) return '.*';
      if (token === '?') return '.';
      if (set === undefined) return `\\${token}`;
      return `[${negated === '!' ? '^' : ''}${set.replaceAll(/[\\\]^]/g, String.raw`\$&`)}]`;
    },
  );
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    // `[z-a]`: glob(7) matches nothing.
    return /^(?!)/;
  }
}

/** strcmp(3), as systemd sorts; localeCompare would mix cases. */
function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
