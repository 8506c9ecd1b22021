import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Report } from '../../src/model/report.ts';
import { whydrop as program } from './program.ts';
import { nstat } from '../lab/counters.ts';
import { strictReversePath } from '../lab/faults/reverse-path.ts';
import { makePair } from '../lab/network.ts';
import { labMissing } from '../lab/requirements.ts';
import { whydrop } from '../lab/whydrop.ts';

const missing = await labMissing();

test.skipIf(missing !== null)(
  'record here, report --from anywhere: the same causes, without root',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'whydrop-lab-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const pair = await makePair();
    onTestFinished(() => pair.cleanUp.run());
    await strictReversePath.setUp(pair);

    const path = join(directory, 'lost.whydrop.gz');
    const before = await nstat(pair.b, 'TcpExtIPReversePathFilter');
    const run = whydrop(['record', '-v', '-o', path, '-n', pair.b, '-d', '2s']);
    await run.watching;
    await strictReversePath.traffic(pair);
    const recorded = await run.done;
    expect(recorded).toMatchObject({ exitCode: 0, stdout: '' });
    expect(recorded.stderr).toContain(`whydrop report --from ${path}`);
    const lost = (await nstat(pair.b, 'TcpExtIPReversePathFilter')) - before;
    expect(lost).toBeGreaterThan(50);

    // What a recording tells of a host is for its owner; sharing it is a decision.
    await expect(from(path)).rejects.toThrow(/permission denied/i);
    await chmod(directory, 0o755);
    await chmod(path, 0o644);
    const report = await from(path);
    expect(report).toMatchObject({
      verdict: 'critical',
      host: { recorded: true },
      scope: { netns: [pair.b] },
      causes: [{ rank: 1, id: 'ip-rpfilter', confidence: 'certain', packets: lost }],
    });
    expect(report.window.seconds).toBeCloseTo(2, 0);
    expect(report.causes).toHaveLength(1);

    const failOn = async (...args: string[]): Promise<number> =>
      (await program(['report', '--from', path, ...args])).exitCode;
    expect(await failOn()).toBe(2);
    expect(await failOn('--fail-on', 'critical')).toBe(2);
    expect(await failOn('--fail-on', 'never')).toBe(0);
    expect(await failOn('--ignore', 'ip-rpfilter')).toBe(0);
    expect(await failOn('--ignore', 'ip-rpfilter@vb')).toBe(0);
    expect(await failOn('--ignore', 'ip-rpfilter@eth9')).toBe(2);
  },
);

/** As an unprivileged user, in another directory. */
async function from(path: string): Promise<Report> {
  const args = ['report', '--from', path, '--json'];
  const { stdout, stderr } = await program(args, { asNobody: true, cwd: '/' });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Report;
}
