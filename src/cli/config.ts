import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';
import { measureOptions, outputOptions } from './options.ts';
import { UsageError } from './usage-error.ts';

/** What the configuration files say, the user's own over the system's. */
export interface Config {
  /** Values of options by attribute name, each as commander would have it. */
  readonly defaults: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly suppressions: readonly ConfiguredSuppression[];
}

export interface ConfiguredSuppression {
  readonly id: string;
  readonly scope?: string;
  readonly reason: string;
  /** Last day of it, `2027-01-31`. */
  readonly until?: string;
  /** The file that says so. */
  readonly file: string;
}

const SYSTEM_FILE = '/etc/whydrop.json';

/**
 * Reads both configuration files; one that is not there says nothing.
 *
 * @throws UsageError for a file that cannot be read, or says what whydrop does not understand
 */
export async function readConfig(
  env: NodeJS.ProcessEnv,
  systemFile: string = SYSTEM_FILE,
): Promise<Config> {
  const own = env['XDG_CONFIG_HOME'];
  const ownFolder = own === undefined || own === '' ? join(homedir(), '.config') : own;
  const files: Config[] = [];
  for (const file of [systemFile, join(ownFolder, 'whydrop/config.json')]) {
    const text = readText(file);
    if (text !== undefined) files.push(await parseConfig(file, text));
  }
  return {
    defaults: Object.assign({}, ...files.map(({ defaults }) => defaults)) as Config['defaults'],
    suppressions: files.flatMap(({ suppressions }) => suppressions),
  };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new UsageError(`${file}: cannot be read (${String(code)})`);
  }
}

async function parseConfig(file: string, text: string): Promise<Config> {
  const { parseConfigFile } = await import('./config-schema.ts');
  const { defaults = {}, suppress = [] } = parseConfigFile(file, text);
  return {
    defaults: Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [...defaultOf(file, name, value)]),
    ),
    suppressions: suppress.map((suppression) => ({ ...suppression, file })),
  };
}

/** What a file may set: how to measure and how to print; not where to write, and nothing of `fix`. */
const configurable = [...measureOptions, ...outputOptions]
  .map((spec) => ({ spec, option: new Option(spec.flags, spec.help) }))
  .filter(({ option }) => !['output', 'debug', 'ignore', 'only'].includes(option.attributeName()));

function defaultOf(
  file: string,
  name: string,
  value: string | number | boolean | readonly string[],
): readonly [string, string | boolean | readonly string[]] {
  const found = configurable.find(({ option }) => option.long === `--${name}`);
  if (found === undefined) {
    const names = configurable.map(({ option }) => option.long?.slice(2)).join(', ');
    throw new UsageError(`${file}: "${name}" is no option that can be set there (${names})`);
  }
  const { spec, option } = found;
  const isFlag = option.isBoolean() || option.negate;
  if (isFlag !== (typeof value === 'boolean')) {
    throw new UsageError(`${file}: "${name}" takes ${isFlag ? 'true or false' : 'a value'}`);
  }
  if (typeof value === 'boolean') {
    return [option.attributeName(), option.negate ? !value : value];
  }
  const texts = Array.isArray(value) ? value.map(String) : [String(value)];
  const wrong = texts.find((text) => spec.choices?.includes(text) === false);
  if (wrong !== undefined || (texts.length !== 1 && spec.list !== true)) {
    const choices = spec.choices?.join(', ') ?? 'one value';
    throw new UsageError(`${file}: "${name}" takes ${choices}`);
  }
  return [option.attributeName(), spec.list === true ? texts : (texts[0] ?? '')];
}
