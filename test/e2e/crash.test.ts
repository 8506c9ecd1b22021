import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CHECKPOINTS, type Checkpoint } from '../../src/fix/checkpoints.ts';
import { strictReversePath } from '../lab/faults/reverse-path.ts';
import { allSettings, inside, makePair, RECEIVER, type Pair } from '../lab/network.ts';
import { labMissing } from '../lab/requirements.ts';
import { startUdp } from '../lab/traffic.ts';
import { whydrop } from '../lab/whydrop.ts';

const missing = await labMissing();

/** The receiver would answer it through another interface: what loose mode cures. */
const ASYMMETRIC = '192.0.2.7';
/** The receiver has no way back to it at all: dropped in loose mode too. */
const UNKNOWN_SOURCE = '203.0.113.9';

/** exitCode of a run that was killed. */
const KILLED = -1;

/**
 * Of one fix, in the order in which it passes them. Persisted lines (`persist-…`) are of the initial
 * namespace only; the unit tests of the fixes kill those.
 */
const APPLYING = ['journalled', 'before-write', 'written', 'recorded'] as const;
const VERIFYING = ['applied', 'measured', 'kept'] as const;
const RESTORING = CHECKPOINTS.slice(CHECKPOINTS.indexOf('restore-journalled'));

/** Here nothing is half done: not yet begun, or already over. */
const SETTLED: ReadonlySet<Checkpoint> = new Set([
  'journalled',
  'before-write',
  'kept',
  'restored',
]);

describe.skipIf(missing !== null)(`kill -9${missing === null ? '' : ` (${missing})`}`, () => {
  test.concurrent.each(APPLYING)('of a fix at %s', async (checkpoint) => {
    await expectRecovery(checkpoint, (host) =>
      fixKilledAt(host, checkpoint, [ASYMMETRIC], ['--no-verify']),
    );
  });

  test.concurrent.each(VERIFYING)('of a fix that helps, at %s', async (checkpoint) => {
    await expectRecovery(checkpoint, (host) => fixKilledAt(host, checkpoint, [ASYMMETRIC], []));
  });

  test.concurrent.each(RESTORING)(
    'of a fix that does not help and is rolled back, at %s',
    async (checkpoint) => {
      const sources = [ASYMMETRIC, UNKNOWN_SOURCE];
      await expectRecovery(checkpoint, (host) => fixKilledAt(host, checkpoint, sources, []));
    },
  );

  test.concurrent.each(RESTORING)('of undo at %s', async (checkpoint) => {
    await expectRecovery(checkpoint, async (host) => {
      const fixed = await fix(host, [ASYMMETRIC], ['--no-verify'], {});
      expect(fixed.exitCode, fixed.stderr).toBe(1);
      const killed = await run(host, ['undo', 'all'], { WHYDROP_TEST_CRASH_AT: checkpoint });
      expect(killed.exitCode, killed.stderr).toBe(KILLED);
    });
  });
});

/** Namespaces with the fault, and a state directory of their own: tests run beside each other. */
interface Host {
  readonly pair: Pair;
  readonly state: string;
}

/** The next start tells what is half done; undo brings every setting back, and then there is nothing to tell. */
async function expectRecovery(
  checkpoint: Checkpoint,
  work: (host: Host) => Promise<void>,
): Promise<void> {
  const pair = await makePair();
  try {
    await strictReversePath.setUp(pair);
    await inside(pair.a, `ip addr add ${UNKNOWN_SOURCE}/32 dev lo`);
    const settings = await allSettings(pair.b);
    const state = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
    pair.cleanUp.add(() => rm(state, { recursive: true }));
    const host = { pair, state };
    await work(host);

    const first = await run(host, ['report', '-d', '0']);
    expect(first.stderr).toMatch(
      SETTLED.has(checkpoint) ? /^$/ : /interrupted while it changed settings:[^]*whydrop undo \d/,
    );
    const undone = await run(host, ['undo', 'all']);
    expect(undone.exitCode, undone.stderr).toBe(0);
    expect(await allSettings(pair.b)).toBe(settings);
    expect((await run(host, ['undo'])).stdout).toContain('Nothing that whydrop changed here');
    expect((await run(host, ['report', '-d', '0'])).stderr).toBe('');
  } finally {
    await pair.cleanUp.run();
  }
}

async function fixKilledAt(
  host: Host,
  checkpoint: Checkpoint,
  sources: readonly string[],
  options: readonly string[],
): Promise<void> {
  const killed = await fix(host, sources, options, { WHYDROP_TEST_CRASH_AT: checkpoint });
  expect(killed.exitCode, killed.stderr + killed.stdout).toBe(KILLED);
}

async function fix(
  host: Host,
  sources: readonly string[],
  options: readonly string[],
  env: Readonly<Record<string, string>>,
) {
  const { a, b } = host.pair;
  const senders = sources.map((source) =>
    startUdp({ from: a, source, to: RECEIVER, port: 5000, packets: 20_000, perSecond: 400 }),
  );
  const only = ['--only', 'ip-rpfilter', '-n', b, '-d', '500ms'];
  const ended = await run(host, ['fix', '--yes', ...only, ...options], env);
  for (const sender of senders) sender.kill();
  await Promise.all(senders);
  return ended;
}

function run({ state }: Host, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return whydrop(args, { WHYDROP_STATE_DIR: state, ...env }).done;
}
