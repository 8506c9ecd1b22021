import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { withProgress } from '../../../src/cli/progress.ts';
import type { Progress } from '../../../src/engine/collect.ts';

const written = { stdout: '', stderr: '' };

beforeEach(() => {
  Object.assign(written, { stdout: '', stderr: '' });
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    });
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** All stages, each a turn of the event loop after the other. */
async function measure(onProgress: (progress: Progress) => void): Promise<string> {
  for (const stage of ['starting', 'first'] as const) await report({ stage });
  await report({ stage: 'window', seconds: 7 });
  for (const stage of ['last', 'judging'] as const) await report({ stage });
  return 'done';

  async function report(progress: Progress): Promise<void> {
    onProgress(progress);
    await new Promise(setImmediate);
  }
}

describe('withProgress', () => {
  test('live: a list with a countdown, on stderr only, wiped in the end', async () => {
    await expect(withProgress('live', measure)).resolves.toBe('done');
    expect(written.stdout).toBe('');
    expect(written.stderr).toContain('Watch drops as they happen');
    expect(written.stderr).toContain('7 s left');
    // Erase in line, as log-update does it for each line of the list.
    expect(written.stderr.lastIndexOf('\x1b[2K')).toBeGreaterThan(
      written.stderr.lastIndexOf('Find the causes'),
    );
  });

  test('plain: a line for each stage, on stderr only', async () => {
    await expect(withProgress('plain', measure)).resolves.toBe('done');
    expect(written).toEqual({
      stdout: '',
      stderr:
        'Start the live drop capture ...\nRead counters and settings ...\n' +
        'Watch drops as they happen ...\nRead the counters again ...\nFind the causes ...\n',
    });
  });

  test('none: silence', async () => {
    await expect(withProgress('none', measure)).resolves.toBe('done');
    expect(written).toEqual({ stdout: '', stderr: '' });
  });

  test.each(['live', 'plain', 'none'] as const)('%s: a failure comes through', async (style) => {
    const failing = withProgress(style, async (onProgress) => {
      onProgress({ stage: 'first' });
      throw new Error('the disk is on fire');
    });
    await expect(failing).rejects.toThrow('the disk is on fire');
    expect(written.stdout).toBe('');
  });

  test('live: stages that are left out (settings only) do not hold it up', async () => {
    const quick = withProgress('live', async (onProgress) => {
      onProgress({ stage: 'starting' });
      onProgress({ stage: 'judging' });
      return 'quick';
    });
    await expect(quick).resolves.toBe('quick');
  });
});
