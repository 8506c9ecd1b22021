import { describe, expect, onTestFinished, test } from 'vitest';
import { makePair } from './network.ts';
import { labMissing } from './requirements.ts';
import {
  bpfPrograms,
  bpfUnloaded,
  descendants,
  eventually,
  isAlive,
  tracefsInstances,
} from '../e2e/processes.ts';
import { start, whydrop } from '../e2e/program.ts';

const missing = await labMissing();

/** Starts a report of half a minute, and waits until it has said `stage`. */
async function reportUntil(stage: string, args: readonly string[] = []) {
  const child = start(['report', '-d', '30s', '-v', ...args]);
  const { pid } = child;
  if (pid === undefined) throw new Error('whydrop did not start');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes(stage)) resolve();
    });
    child.once('exit', () => {
      reject(new Error(`whydrop ended before ${stage}: ${said}`));
    });
  });
  return { child, pid, instances: async () => instancesOf(pid) };
}

async function instancesOf(pid: number): Promise<readonly string[]> {
  const all = await tracefsInstances();
  return all.filter((name) => name.startsWith(`whydrop-${pid}-`));
}

describe.skipIf(missing !== null)(`signals${missing === null ? '' : ` (${missing})`}`, () => {
  test.each([
    ['SIGINT', 130, 'tracefs'],
    ['SIGINT', 130, 'bpf'],
    ['SIGTERM', 143, 'tracefs'],
    ['SIGHUP', 129, 'bpf'],
  ] as const)('%s in the window ends it at once, with nothing left', async (signal, code, by) => {
    const pair = await makePair();
    onTestFinished(() => pair.cleanUp.run());
    // Another namespace needs a helper process.
    const args = ['--netns', pair.b, '--capture', by];
    const { child, pid, instances } = await reportUntil('Watch drops', args);
    const helpers = await descendants(pid);
    expect(helpers).not.toEqual([]);
    const programs = await bpfPrograms(pid);
    expect(await instances()).toHaveLength(by === 'tracefs' ? 1 : 0);
    expect(programs.length > 0).toBe(by === 'bpf');

    const sentAt = performance.now();
    child.kill(signal);
    const { exitCode, stdout, stderr } = await child;
    expect(performance.now() - sentAt).toBeLessThan(3000);
    expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: '' });
    expect(stderr).not.toContain('fault of whydrop');
    expect(await instances()).toEqual([]);
    await bpfUnloaded(programs);
    for (const helper of helpers) {
      await eventually(`helper ${helper} ends`, async () => !(await isAlive(helper)));
    }
  });

  test.each(['Start the live', 'Read counters'])('SIGINT at "%s"', async (stage) => {
    const { child, instances } = await reportUntil(stage, ['--capture', 'tracefs']);
    child.kill('SIGINT');
    const { exitCode, stdout } = await child;
    expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: '' });
    expect(await instances()).toEqual([]);
  });

  test('a second SIGINT ends it where it stands, and removes the capture', async () => {
    const { child, instances } = await reportUntil('Watch drops', ['--capture', 'tracefs']);
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect((await child).exitCode).toBe(130);
    expect(await instances()).toEqual([]);
  });

  test('kill -9 leaves no BPF program', async () => {
    const { child, pid, instances } = await reportUntil('Watch drops', ['--capture', 'bpf']);
    const programs = await bpfPrograms(pid);
    expect(programs).not.toEqual([]);
    child.kill('SIGKILL');
    await child;
    await bpfUnloaded(programs);
    expect(await instances()).toEqual([]);
  });

  test.each(['tracefs', 'auto'])(
    'after kill -9 the next start by %s removes what is left',
    async (next) => {
      const { child, pid, instances } = await reportUntil('Watch drops', ['--capture', 'tracefs']);
      const helpers = await descendants(pid);
      child.kill('SIGKILL');
      await child;
      for (const helper of helpers) {
        await eventually(`helper ${helper} ends`, async () => !(await isAlive(helper)));
      }
      expect(await instances()).toHaveLength(1);
      await whydrop(['report', '-d', '10ms', '--capture', next]);
      expect(await instances()).toEqual([]);
    },
  );
});
