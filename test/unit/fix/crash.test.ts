import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { CHECKPOINTS, type Checkpoint } from '../../../src/fix/checkpoints.ts';
import { findUnfinished, resolveUnfinished } from '../../../src/fix/unfinished.ts';
import { undoFixes } from '../../../src/fix/undo.ts';
import { applyScenario, settings } from './crash-scenario.ts';
import { makeSandbox, removeSandbox, snapshot, type Sandbox } from './sandbox.ts';

/**
 * Real processes that kill themselves with SIGKILL. Part of the scenario, checkpoint, passage, and what
 * the next start must find: the phase of the unfinished fix, or that there is none.
 */
type Crash = readonly [
  part: 'helps' | 'fails' | 'undo',
  at: Checkpoint,
  passage: number,
  found: 'applying' | 'measuring' | 'restoring' | 'none',
];

const crashes: readonly Crash[] = [
  ['helps', 'journalled', 1, 'none'],
  ['helps', 'before-write', 1, 'none'],
  ['helps', 'written', 1, 'applying'],
  ['helps', 'recorded', 1, 'applying'],
  ['helps', 'before-write', 2, 'applying'],
  ['helps', 'written', 2, 'applying'],
  ['helps', 'recorded', 2, 'applying'],
  ['helps', 'applied', 1, 'measuring'],
  ['helps', 'measured', 1, 'measuring'],
  ['helps', 'persist-journalled', 1, 'measuring'],
  ['helps', 'persist-written', 1, 'measuring'],
  ['helps', 'kept', 1, 'none'],
  ['fails', 'restore-journalled', 1, 'restoring'],
  ['fails', 'restore-written', 1, 'restoring'],
  ['fails', 'restore-recorded', 1, 'restoring'],
  ['fails', 'restore-written', 2, 'restoring'],
  ['fails', 'drop-in-removed', 1, 'restoring'],
  ['fails', 'restored', 1, 'none'],
  ['undo', 'restore-journalled', 1, 'restoring'],
  ['undo', 'restore-written', 1, 'restoring'],
  ['undo', 'restore-recorded', 2, 'restoring'],
  ['undo', 'drop-in-removed', 1, 'restoring'],
  ['undo', 'restored', 1, 'none'],
];

const repository = path.resolve(import.meta.dirname, '../../..');
const child = 'test/unit/fix/crash-child';
/** Within the repository, so that the child finds its packages. */
let compiled = '';

// It is started some eighty times: compiling it once costs less than a second, through tsx each start does.
beforeAll(() => {
  compiled = mkdtempSync(path.join(repository, 'node_modules/.crash-'));
  buildSync({
    entryPoints: [`${child}.ts`],
    outfile: path.join(compiled, 'child.mjs'),
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    absWorkingDir: repository,
  });
});
afterAll(() => {
  rmSync(compiled, { recursive: true });
});

test('every checkpoint is tried', () => {
  expect(new Set(crashes.map(([, at]) => at))).toEqual(new Set(CHECKPOINTS));
});

test.concurrent.each(crashes)(
  '%s killed at %s (passage %i): %s, and the way back is exact',
  { timeout: 60_000 },
  async (part, at, passage, found) => {
    const sandbox = await makeSandbox(settings);
    try {
      const original = await machine(sandbox);
      if (part === 'undo') await applyScenario(sandbox.environment, true);
      expect(await crash(sandbox, part, at, passage)).toBe('SIGKILL');

      expect(await phases(sandbox)).toEqual(found === 'none' ? [] : [found]);
      if (found !== 'none') {
        // Killed again on the way back, wherever it happens to pass; then for good.
        await crash(sandbox, 'restore', 'restore-written', 1);
        for (const id of await unfinishedIds(sandbox)) {
          await resolveUnfinished(sandbox.environment, id, 'restore');
        }
      }
      expect(await phases(sandbox)).toEqual([]);
      await undoFixes(sandbox.environment, null);
      expect(await machine(sandbox)).toEqual(original);
    } finally {
      await removeSandbox(sandbox);
    }
  },
);

test.concurrent.each(
  crashes.filter(([, , , found]) => found === 'applying' || found === 'measuring'),
)(
  '%s killed at %s (passage %i): %s, and finishing is whole',
  { timeout: 60_000 },
  async (part, at, passage) => {
    const sandbox = await makeSandbox(settings);
    const reference = await makeSandbox(settings);
    try {
      const original = await machine(sandbox);
      await applyScenario(reference.environment, true);
      const complete = await machine(reference);
      await crash(sandbox, part, at, passage);

      for (const id of await unfinishedIds(sandbox)) {
        await resolveUnfinished(sandbox.environment, id, 'finish');
      }
      const withoutDropIn = Object.fromEntries(
        Object.entries(complete).filter(([file]) => !file.endsWith('90-whydrop.conf')),
      );
      const persisted = at.startsWith('persist-');
      expect(await machine(sandbox)).toEqual(persisted ? complete : withoutDropIn);

      await undoFixes(sandbox.environment, null);
      expect(await machine(sandbox)).toEqual(original);
    } finally {
      await removeSandbox(sandbox);
      await removeSandbox(reference);
    }
  },
);

/** All that a fix may change: settings and files of sysctl.d. Not the journal. */
async function machine({ directory }: Sandbox): Promise<Record<string, string>> {
  return {
    ...(await snapshot(path.join(directory, 'sysctls'))),
    ...(await snapshot(path.join(directory, 'root'))),
  };
}

async function unfinishedIds(sandbox: Sandbox): Promise<string[]> {
  const unfinished = await findUnfinished(sandbox.environment);
  if (unfinished.status !== 'ok') throw new Error(unfinished.reason);
  return unfinished.value.map(({ id }) => id);
}

async function phases({ environment }: Sandbox): Promise<string[]> {
  const unfinished = await findUnfinished(environment);
  if (unfinished.status !== 'ok') throw new Error(unfinished.reason);
  return unfinished.value.map(({ phase }) => phase);
}

/** How the child ended: the signal, or its exit code. */
async function crash(
  { directory }: Sandbox,
  part: string,
  at: Checkpoint,
  passage: number,
): Promise<NodeJS.Signals | number | null> {
  const args = [path.join(compiled, 'child.mjs'), directory, part, at, String(passage)];
  return await new Promise((resolve) => {
    const killed = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    killed.once('exit', (code, signal) => {
      resolve(signal ?? code);
    });
  });
}
