import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig, type Config } from '../../../src/cli/config.ts';
import { measureRequest } from '../../../src/cli/measure.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'whydrop-config-'));
  await mkdir(join(directory, 'whydrop'));
});
afterEach(() => rm(directory, { recursive: true }));

/** @param own of the user */
async function configOf(system: string | undefined, own?: string): Promise<Config> {
  const file = join(directory, 'system.json');
  if (system !== undefined) await writeFile(file, system);
  if (own !== undefined) await writeFile(join(directory, 'whydrop/config.json'), own);
  return readConfig({ XDG_CONFIG_HOME: directory }, file);
}

describe('configuration files', () => {
  test('without any, nothing is set', async () => {
    expect(await configOf(undefined)).toEqual({ defaults: {}, suppressions: [] });
  });

  test("the user's own wins over the system's; suppressions of both hold", async () => {
    const { defaults, suppressions } = await configOf(
      '{"defaults": {"duration": "10s", "fail-on": "critical"}, "suppress": [{"id": "a", "reason": "r"}]}',
      '{"defaults": {"duration": 30, "iface": ["eth0", "eth1"], "no-input": true, "plain": false}, "suppress": [{"id": "b", "scope": "eth0", "reason": "s", "until": "2027-01-31"}]}',
    );
    expect(defaults).toEqual({
      duration: '30',
      failOn: 'critical',
      iface: ['eth0', 'eth1'],
      input: false,
      plain: false,
    });
    expect(suppressions).toMatchObject([
      { id: 'a', reason: 'r', file: join(directory, 'system.json') },
      { id: 'b', scope: 'eth0', reason: 's', until: '2027-01-31' },
    ]);
  });

  test.each([
    ['{', /system\.json: not JSON/],
    ['[]', /system\.json: .*expected object/],
    ['{"default": {}}', /system\.json: .*"default"/],
    ['{"defaults": {"durations": "1s"}}', /"durations" is no option that can be set there/],
    ['{"defaults": {"yes": true}}', /"yes" is no option/],
    ['{"defaults": {"output": "/etc/passwd"}}', /"output" is no option/],
    ['{"defaults": {"format": "xml"}}', /"format" takes text, json/],
    ['{"defaults": {"duration": ["1s", "2s"]}}', /"duration" takes one value/],
    ['{"defaults": {"duration": true}}', /"duration" takes a value/],
    ['{"defaults": {"plain": "yes"}}', /"plain" takes true or false/],
    ['{"suppress": [{"id": "a"}]}', /suppress\.0\.reason/],
    ['{"suppress": [{"id": "a", "reason": " "}]}', /suppress\.0\.reason/],
    ['{"suppress": [{"id": "a", "reason": "r", "until": "soon"}]}', /suppress\.0\.until/],
  ])('%s is refused', async (text, says) => {
    await expect(configOf(text)).rejects.toThrow(says);
  });

  test('one that cannot be read is an error, not silence', async () => {
    await mkdir(join(directory, 'whydrop/config.json'));
    await expect(readConfig({ XDG_CONFIG_HOME: directory }, '/dev/null/x')).rejects.toThrow(
      /config\.json: cannot be read \(EISDIR\)/,
    );
  });
});

describe('suppressions', () => {
  const flags = (until: string) => ({
    capture: 'auto' as const,
    suppressions: [
      { id: 'ip-rpfilter', scope: 'eth0', reason: 'known', until, file: '/etc/whydrop.json' },
    ],
  });

  test('hold until the end of their last day', () => {
    const { ignore, notes } = measureRequest(flags('2026-11-22'), '2026-11-22');
    expect({ ignore, notes }).toEqual({
      ignore: [{ id: 'ip-rpfilter', scope: 'eth0', reason: 'known (until 2026-11-22)' }],
      notes: [],
    });
  });

  test('that ended are said to have', () => {
    const { ignore, notes } = measureRequest(flags('2026-11-21'), '2026-11-22');
    expect(ignore).toEqual([]);
    expect(notes).toEqual([
      'ip-rpfilter on eth0 is not suppressed any more: that ended on 2026-11-21 (/etc/whydrop.json).',
    ]);
  });

  test('of a cause nobody knows are refused, with the file', () => {
    const [suppression] = flags('2027-01-01').suppressions;
    if (suppression === undefined) throw new Error('nothing to change');
    const wrong = {
      capture: 'auto' as const,
      suppressions: [{ ...suppression, id: 'ip-rpfiltr' }],
    };
    expect(() => measureRequest(wrong)).toThrow('/etc/whydrop.json: suppress ip-rpfiltr: there is');
  });
});
