import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inside } from '../test/lab/network.ts';

/**
 * Milliseconds until a capture that is started has counted its first drop, each in a process of its own.
 *
 * @param program the built main.js
 */
export async function measureFirstCount(
  program: string,
  netns: string,
  rounds: number,
): Promise<readonly number[]> {
  const child = fileURLToPath(new URL('first-count-child.mjs', import.meta.url));
  const capture = join(program, '../../capture/bpf/capture.js');
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    times.push(Number(await inside(netns, `${process.execPath} ${child} ${capture}`)));
  }
  return times;
}
