import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { planFixes } from '../../src/fix/plan.ts';
import type { Report } from '../../src/model/report.ts';
import type { Cure, Fault } from './fault.ts';
import { faults } from './faults.ts';
import { nftablesRule } from './faults/firewall.ts';
import { allSettings, makePair, restoreAfterCrash, type Pair } from './network.ts';
import { labMissing } from './requirements.ts';
import { trafficUntil } from './traffic.ts';
import { diagnoseDuring, whydrop, type Backend } from './whydrop.ts';

const missing = await labMissing();
/** Packets of the report against those of the independent counter. */
const TOLERANCE = 0.02;
/** Less is no fault to speak of: the scenario itself would be broken. */
const FEWEST_LOST = 50;

const BACKENDS: readonly Backend[] = ['bpf', 'tracefs'];

/** Of all that died in the namespaces with faults, what may be left that no rule accounts for. */
const UNEXPLAINED_SHARE = 0.01;
const seen = { dropped: 0, unexplained: 0 };

/** Vitest runs those beside each other that stand together. */
const beforeThoseAlone = faults.toSorted(
  (a, b) => Number(a.alone !== undefined) - Number(b.alone !== undefined),
);

beforeAll(restoreAfterCrash);

describe.skipIf(missing !== null)(`real faults${missing === null ? '' : ` (${missing})`}`, () => {
  for (const fault of beforeThoseAlone) {
    test(`${fault.cause}: ${fault.name}`, { concurrent: fault.alone === undefined }, async () => {
      await withFault(fault, async (pair) => {
        await expectDiagnosis(fault, pair);
        if (fault.cure !== undefined) await expectCure(fault, fault.cure, pair);
      });
    });
  }

  test('over all of them, next to nothing is left unexplained', () => {
    expect(seen.dropped).toBeGreaterThan(faults.length * FEWEST_LOST);
    expect(seen.unexplained / seen.dropped).toBeLessThanOrEqual(UNEXPLAINED_SHARE);
  });

  test('what is only printed is not applied, even with --yes', async () => {
    await withFault(nftablesRule, async (pair) => {
      const settings = await allSettings(pair.b);
      const { exitCode, stdout, stderr } = await fix(
        nftablesRule,
        pair,
        await stateDirectory(pair),
      );
      expect(exitCode, stderr + stdout).toBe(3);
      expect(await allSettings(pair.b)).toBe(settings);
    });
  });
});

async function withFault(fault: Fault, work: (pair: Pair) => Promise<void>): Promise<void> {
  const pair = await makePair();
  try {
    await fault.setUp?.(pair);
    await work(pair);
  } finally {
    await pair.cleanUp.run();
  }
}

/** Measures the loss by another tool while whydrop looks, under all captures at once, and compares. */
async function expectDiagnosis(fault: Fault, pair: Pair): Promise<void> {
  const captures = fault.captures ?? BACKENDS;
  const before = await fault.lost(pair);
  const { reports } = await diagnoseDuring([{ netns: pair.b, captures }], () =>
    fault.traffic(pair),
  );
  const lost = (await fault.lost(pair)) - before;
  expect(lost, 'the fault loses packets').toBeGreaterThan(FEWEST_LOST);
  expect(reports.map(({ capture }) => capture.backend)).toEqual(captures);
  for (const report of reports) {
    expectCause(report, fault, pair, lost);
    seen.dropped += report.totals.dropped;
    seen.unexplained += report.totals.unexplained;
  }
}

function expectCause(report: Report, fault: Fault, { b }: Pair, lost: number): void {
  const { causes, capture } = report;
  if (fault.onlyBpf === true && capture.backend === 'tracefs') {
    expect(causes).toEqual([]);
    return;
  }
  const [first] = causes;
  const iface = fault.interface === undefined ? 'vb' : fault.interface;
  expect(first, JSON.stringify(report, null, 1)).toMatchObject({
    rank: 1,
    id: fault.cause,
    confidence: confidenceUnder(capture.backend, fault),
    scope: {
      netns: b,
      ...(capture.backend === 'bpf' && iface !== null && { interface: iface }),
      ...fault.scope,
    },
  });
  if (fault.lookup !== undefined && capture.backend === 'bpf') {
    expect(first?.because.map(({ text }) => text).join('\n')).toContain(fault.lookup);
  }
  const [told] = first?.because ?? [];
  const packets =
    fault.copies === true ? Number(told?.last) - Number(told?.first) : (first?.packets ?? 0);
  expect(
    Math.abs(packets - lost) / lost,
    `${capture.backend}: ${packets} reported, ${lost} lost`,
  ).toBeLessThanOrEqual(TOLERANCE);
  // Nothing else is blamed: no look-alike, no consequence listed as a cause.
  expect(causes.map(({ id }) => id)).toEqual([fault.cause]);
  expect(report).toMatchObject({ crashed: [], capture: { lost: 0 } });
  expect(planFixes(report).apply.length > 0, 'whydrop can apply a fix').toBe(
    fault.cure !== undefined,
  );
}

function confidenceUnder(backend: Report['capture']['backend'], { confidence }: Fault): string {
  if (typeof confidence === 'string') return confidence;
  return backend === 'none' ? '' : confidence[backend];
}

/** fix → the counter stops → undo → every setting as before. */
async function expectCure(fault: Fault, cure: Cure, pair: Pair): Promise<void> {
  const settings = await allSettings(pair.b);
  const state = await stateDirectory(pair);
  const fixed = await fix(fault, pair, state, '--only', cure.fix, '--capture', cure.capture);
  expect(fixed.exitCode, fixed.stderr + fixed.stdout).toBe(cure.restart === undefined ? 0 : 1);
  await cure.restart?.(pair);

  const before = await fault.lost(pair);
  await fault.traffic(pair);
  expect((await fault.lost(pair)) - before, 'packets still lost after the fix').toBe(0);
  expect(await allSettings(pair.b), 'the fix changed something').not.toBe(settings);

  const undone = await whydrop(['undo', 'all'], { WHYDROP_STATE_DIR: state }).done;
  expect(undone.exitCode, undone.stderr + undone.stdout).toBe(0);
  expect(await allSettings(pair.b)).toBe(settings);
}

async function stateDirectory({ cleanUp }: Pair): Promise<string> {
  const state = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
  cleanUp.add(() => rm(state, { recursive: true }));
  return state;
}

function fix(fault: Fault, pair: Pair, state: string, ...options: readonly string[]) {
  const run = whydrop(['fix', '--yes', '--netns', pair.b, '--duration', '1s', ...options], {
    WHYDROP_STATE_DIR: state,
  });
  return trafficUntil(run.done, () => fault.traffic(pair));
}
