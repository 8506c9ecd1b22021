import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { strictReversePath } from '../lab/faults/reverse-path.ts';
import { allSettings, inside, makePair, type Pair } from '../lab/network.ts';
import { labMissing } from '../lab/requirements.ts';
import { trafficUntil } from '../lab/traffic.ts';
import { whydrop, type Run } from '../lab/whydrop.ts';

const missing = await labMissing();
const KEY = 'net.ipv4.conf.vb.rp_filter';
const REFUSED = 3;
const NOT_RESTORED = 2;

describe.skipIf(missing !== null)(`undo${missing === null ? '' : ` (${missing})`}`, () => {
  test.concurrent('lists what was changed, and takes back one change, a run, or all', () =>
    withUser(async (user) => {
      for (const takeBack of [
        (id: string) => id,
        (id: string) => id.replace(/\.1$/, ''),
        () => 'all',
      ]) {
        const id = await user.fixed();
        const listed = await user.undo();
        expect(listed.stdout).toMatch(
          new RegExp(`^${id}: ip-rpfilter/\\S+ \\(kept, unverified\\)$`, 'm'),
        );
        expect(listed.stdout).toContain(`${KEY}: 1 → 2, now 2 (network namespace ${user.pair.b})`);

        const undone = await user.undo(takeBack(id));
        expect(undone.stdout).toContain(`${id}: ip-rpfilter/`);
        expect(undone.stdout).toContain('everything is as before');
        expect(undone.exitCode, undone.stderr).toBe(0);
        expect(await user.settings()).toBe(user.before);
        expect((await user.undo()).stdout).toBe(
          'Nothing that whydrop changed here is still in place.',
        );
      }
    }),
  );

  test.concurrent('--json', () =>
    withUser(async (user) => {
      const id = await user.fixed();
      const listed: unknown = JSON.parse((await user.undo('--json')).stdout);
      expect(listed).toMatchObject({
        schema: 'whydrop.undo/1',
        fixes: [
          { id, phase: 'kept', steps: [{ key: KEY, before: '1', to: '2', state: 'changed' }] },
        ],
        damaged: [],
      });
      const undone: unknown = JSON.parse((await user.undo(id, '--json')).stdout);
      expect(undone).toMatchObject({ schema: 'whydrop.undo/1', results: [{ id, complete: true }] });
    }),
  );

  test.concurrent('what somebody else set since stays, unless forced', () =>
    withUser(async (user) => {
      const id = await user.fixed();
      await inside(user.pair.b, `sysctl -qw ${KEY}=0`);
      const refused = await user.undo(id);
      expect(refused.exitCode).toBe(NOT_RESTORED);
      expect(refused.stderr).toContain(`${KEY} is 0 now`);
      expect(refused.stdout).toContain('use --force');
      expect(await user.value()).toBe('0');

      expect(await user.undo(id, '--force')).toMatchObject({ exitCode: 0 });
      expect(await user.settings()).toBe(user.before);
    }),
  );

  test.concurrent('an unknown id, and a namespace that is gone', () =>
    withUser(async (user) => {
      const id = await user.fixed();
      const unknown = await user.undo('20000101-000000.1');
      expect(unknown).toMatchObject({ exitCode: REFUSED, stdout: '' });
      expect(unknown.stderr).toContain("there is no fix 20000101-000000.1: 'whydrop undo' lists");

      await user.pair.cleanUp.run();
      const gone = await user.undo(id);
      expect(gone.stderr).toContain(`network namespace ${user.pair.b} is gone`);
      expect(gone.exitCode).toBe(0);
    }),
  );

  test.concurrent(
    'only one changes settings at a time; a report in between tells of no interruption',
    // Of this test: when one beside it ends first, the common one belongs to none, and poll() throws.
    ({ expect }) =>
      withUser(async (user) => {
        const first = user.fix('4s');
        const flowing = trafficUntil(first.done, () => trafficOf(user.pair));
        await expect.poll(() => user.value(), { timeout: 20_000 }).toBe('2');

        const others = [
          ['undo', 'all'],
          ['report', '-d', '0'],
          ['fix', '--yes', '-d', '0'],
        ];
        const [undone, report, second] = await Promise.all(
          others.map((args) => user.run(args).done),
        );
        expect(undone).toMatchObject({ exitCode: REFUSED, stdout: '' });
        expect(undone?.stderr).toMatch(
          /another whydrop \(process \d+\) is changing settings: wait/,
        );
        expect(report?.stderr).toBe('');
        expect(second?.exitCode).toBe(REFUSED);

        expect((await flowing).exitCode).toBe(0);
        expect(await user.undo('all')).toMatchObject({ exitCode: 0 });
        expect(await user.settings()).toBe(user.before);
      }),
  );
});

/** Somebody with a strict reverse-path filter, and a state directory of their own. */
class User {
  readonly pair: Pair;
  /** All settings, with the fault. */
  readonly before: string;
  readonly #state: string;

  constructor(pair: Pair, before: string, state: string) {
    this.pair = pair;
    this.before = before;
    this.#state = state;
  }

  settings(): Promise<string> {
    return allSettings(this.pair.b);
  }

  run(args: readonly string[]): Run {
    return whydrop(args, { WHYDROP_STATE_DIR: this.#state });
  }

  undo(...args: readonly string[]): Run['done'] {
    return this.run(['undo', ...args]).done;
  }

  fix(duration: string, ...options: readonly string[]): Run {
    const only = ['--only', 'ip-rpfilter', '-n', this.pair.b];
    return this.run(['fix', '--yes', '-d', duration, ...only, ...options]);
  }

  /** Applies the fix, unverified. @returns what `undo` takes */
  async fixed(): Promise<string> {
    const { done } = this.fix('500ms', '--no-verify');
    const { exitCode, stdout, stderr } = await trafficUntil(done, () => trafficOf(this.pair));
    const id = /whydrop undo (\S+)/.exec(stdout)?.[1];
    if (exitCode !== 1 || id === undefined) throw new Error(`not fixed: ${stdout}${stderr}`);
    return id;
  }

  async value(): Promise<string> {
    return (await inside(this.pair.b, `sysctl -n ${KEY}`)).trim();
  }
}

async function withUser(work: (user: User) => Promise<void>): Promise<void> {
  const pair = await makePair();
  const state = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
  try {
    await strictReversePath.setUp(pair);
    await work(new User(pair, await allSettings(pair.b), state));
  } finally {
    await pair.cleanUp.run();
    await rm(state, { recursive: true });
  }
}

async function trafficOf(pair: Pair): Promise<void> {
  await strictReversePath.traffic(pair);
}
