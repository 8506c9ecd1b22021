import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { faults } from './faults.ts';
import { allSettings, makePair, restoreAfterCrash, type Pair } from './network.ts';
import { labMissing } from './requirements.ts';
import type { Scenario } from './scenario.ts';
import { trafficUntil } from './traffic.ts';
import { reportDuring, whydrop } from './whydrop.ts';

const missing = await labMissing();
/** Packets of the report against those of the independent counter. */
const TOLERANCE = 0.02;
/** Less is no fault to speak of: the scenario itself would be broken. */
const FEWEST_LOST = 50;

beforeAll(restoreAfterCrash);

describe.skipIf(missing !== null)(`real faults${missing === null ? '' : ` (${missing})`}`, () => {
  for (const scenario of faults) {
    test(`${scenario.cause}: ${scenario.name}`, async () => {
      const pair = await makePair();
      try {
        await scenario.setUp(pair);
        const settings = await allSettings(pair.b);
        await expectDiagnosis(scenario, pair, 'tracefs');
        await expectDiagnosis(scenario, pair, 'bpf');
        if (scenario.cure.kind === 'printed') await expectRefusal(scenario, pair, settings);
        else await expectCure(scenario, scenario.cure, pair, settings);
      } finally {
        await pair.cleanUp.run();
      }
    });
  }
});

/** Measures the loss by another tool while whydrop looks, and compares. */
async function expectDiagnosis(
  scenario: Scenario,
  pair: Pair,
  capture: 'bpf' | 'tracefs',
): Promise<void> {
  const before = await scenario.lost(pair);
  const { report } = await reportDuring(
    ['--netns', pair.b, '--duration', '4s', '--capture', capture],
    () => scenario.traffic(pair),
  );
  expect(report.capture).toMatchObject({ backend: capture, lost: 0 });
  const lost = (await scenario.lost(pair)) - before;

  expect(lost, 'the fault loses packets').toBeGreaterThan(FEWEST_LOST);
  const [first] = report.causes;
  expect(first, JSON.stringify(report, null, 1)).toMatchObject({
    rank: 1,
    id: scenario.cause,
    confidence: scenario.confidence,
    scope: { netns: pair.b },
  });
  const packets = first?.packets ?? 0;
  expect(Math.abs(packets - lost) / lost, `${packets} reported, ${lost} lost`).toBeLessThanOrEqual(
    TOLERANCE,
  );
  // Nothing else is blamed: no look-alike, no consequence listed as a cause.
  expect(report.causes.map(({ id }) => id)).toEqual([scenario.cause]);
  expect(report.crashed).toEqual([]);
}

/** What whydrop only prints advice for it must not touch, even with --yes. */
async function expectRefusal(scenario: Scenario, pair: Pair, settings: string): Promise<void> {
  const state = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
  const run = whydrop(['fix', '--yes', '--netns', pair.b, '--duration', '3s'], {
    WHYDROP_STATE_DIR: state,
  });
  const { exitCode, stdout, stderr } = await trafficUntil(run.done, () => scenario.traffic(pair));
  expect(exitCode, stderr + stdout).toBe(3);
  expect(await allSettings(pair.b)).toBe(settings);
  await rm(state, { recursive: true });
}

/** fix → the counter stops → undo → every setting as before. */
async function expectCure(
  scenario: Scenario,
  cure: Extract<Scenario['cure'], { kind: 'sysctl' }>,
  pair: Pair,
  settings: string,
): Promise<void> {
  const state = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
  const env = { WHYDROP_STATE_DIR: state };
  const run = whydrop(
    ['fix', '--yes', '--only', cure.fix, '--netns', pair.b, '--duration', '3s'],
    env,
  );
  const fixed = await trafficUntil(run.done, () => scenario.traffic(pair));
  expect(fixed.exitCode, fixed.stderr + fixed.stdout).toBe(cure.exitCode);
  await cure.after?.(pair);

  const before = await scenario.lost(pair);
  await scenario.traffic(pair);
  expect((await scenario.lost(pair)) - before, 'packets still lost after the fix').toBe(0);
  expect(await allSettings(pair.b), 'the fix changed something').not.toBe(settings);

  const undone = await whydrop(['undo', 'all'], env).done;
  expect(undone.exitCode, undone.stderr + undone.stdout).toBe(0);
  expect(await allSettings(pair.b)).toBe(settings);
  await rm(state, { recursive: true });
}
