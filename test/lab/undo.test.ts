import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { strictReversePath } from './faults/reverse-path.ts';
import { allSettings, inside, makePair, type Pair } from './network.ts';
import { labMissing } from './requirements.ts';
import { trafficUntil } from './traffic.ts';
import { whydrop, type Run } from './whydrop.ts';

const missing = await labMissing();
const KEY = 'net.ipv4.conf.vb.rp_filter';
const REFUSED = 3;
const NOT_RESTORED = 2;

describe.skipIf(missing !== null)(`undo${missing === null ? '' : ` (${missing})`}`, () => {
  let pair: Pair;
  let settings = '';
  let state = '';

  beforeEach(async () => {
    pair = await makePair();
    await strictReversePath.setUp(pair);
    settings = await allSettings(pair.b);
    state = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
  });

  afterEach(async () => {
    await pair.cleanUp.run();
    await rm(state, { recursive: true });
  });

  test('lists what was changed, and takes back one change, a run, or all', async () => {
    for (const takeBack of [
      (id: string) => id,
      (id: string) => id.replace(/\.1$/, ''),
      () => 'all',
    ]) {
      const id = await fixed();
      const listed = await undo();
      expect(listed.stdout).toMatch(
        new RegExp(`^${id}: ip-rpfilter/\\S+ \\(kept, unverified\\)$`, 'm'),
      );
      expect(listed.stdout).toContain(`${KEY}: 1 → 2, now 2 (network namespace ${pair.b})`);

      const undone = await undo(takeBack(id));
      expect(undone.stdout).toContain(`${id}: ip-rpfilter/`);
      expect(undone.stdout).toContain('everything is as before');
      expect(undone.exitCode, undone.stderr).toBe(0);
      expect(await allSettings(pair.b)).toBe(settings);
      expect((await undo()).stdout).toBe('Nothing that whydrop changed here is still in place.');
    }
  });

  test('--json', async () => {
    const id = await fixed();
    const listed: unknown = JSON.parse((await undo('--json')).stdout);
    expect(listed).toMatchObject({
      schema: 'whydrop.undo/1',
      fixes: [{ id, phase: 'kept', steps: [{ key: KEY, before: '1', to: '2', state: 'changed' }] }],
      damaged: [],
    });
    const undone: unknown = JSON.parse((await undo(id, '--json')).stdout);
    expect(undone).toMatchObject({ schema: 'whydrop.undo/1', results: [{ id, complete: true }] });
  });

  test('what somebody else set since stays, unless forced', async () => {
    const id = await fixed();
    await inside(pair.b, `sysctl -qw ${KEY}=0`);
    const refused = await undo(id);
    expect(refused.exitCode).toBe(NOT_RESTORED);
    expect(refused.stderr).toContain(`${KEY} is 0 now`);
    expect(refused.stdout).toContain('use --force');
    expect(await value()).toBe('0');

    expect(await undo(id, '--force')).toMatchObject({ exitCode: 0 });
    expect(await allSettings(pair.b)).toBe(settings);
  });

  test('an unknown id, and a namespace that is gone', async () => {
    const id = await fixed();
    const unknown = await undo('20000101-000000.1');
    expect(unknown).toMatchObject({ exitCode: REFUSED, stdout: '' });
    expect(unknown.stderr).toContain("there is no fix 20000101-000000.1: 'whydrop undo' lists");

    await pair.cleanUp.run();
    const gone = await undo(id);
    expect(gone.stderr).toContain(`network namespace ${pair.b} is gone`);
    expect(gone.exitCode).toBe(0);
  });

  test('only one changes settings at a time; a report in between tells of no interruption', async () => {
    const first = fix('4s');
    const flowing = trafficUntil(first.done, () => trafficOf(pair));
    await expect.poll(value, { timeout: 20_000 }).toBe('2');

    const others = [
      ['undo', 'all'],
      ['report', '-d', '0'],
      ['fix', '--yes', '-d', '0'],
    ];
    const [undone, report, second] = await Promise.all(others.map((args) => run(args).done));
    expect(undone).toMatchObject({ exitCode: REFUSED, stdout: '' });
    expect(undone?.stderr).toMatch(/another whydrop \(process \d+\) is changing settings: wait/);
    expect(report?.stderr).toBe('');
    expect(second?.exitCode).toBe(REFUSED);

    expect((await flowing).exitCode).toBe(0);
    expect(await undo('all')).toMatchObject({ exitCode: 0 });
    expect(await allSettings(pair.b)).toBe(settings);
  });

  function run(args: readonly string[]): Run {
    return whydrop(args, { WHYDROP_STATE_DIR: state });
  }

  function undo(...args: readonly string[]) {
    return run(['undo', ...args]).done;
  }

  function fix(duration: string, ...options: readonly string[]): Run {
    const only = ['--only', 'ip-rpfilter', '-n', pair.b];
    return run(['fix', '--yes', '-d', duration, ...only, ...options]);
  }

  /** Applies the fix, unverified. @returns what `undo` takes */
  async function fixed(): Promise<string> {
    const { done } = fix('500ms', '--no-verify');
    const { exitCode, stdout, stderr } = await trafficUntil(done, () => trafficOf(pair));
    const id = /whydrop undo (\S+)/.exec(stdout)?.[1];
    if (exitCode !== 1 || id === undefined) throw new Error(`not fixed: ${stdout}${stderr}`);
    return id;
  }

  async function value(): Promise<string> {
    return (await inside(pair.b, `sysctl -n ${KEY}`)).trim();
  }

  async function trafficOf(pair: Pair): Promise<void> {
    await strictReversePath.traffic(pair);
  }
});
