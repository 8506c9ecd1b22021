import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CleanUp, Pair } from '../test/lab/network.ts';
import type { Observer } from './observers.ts';
import { interleaved, median } from './statistics.ts';
import { startEndlessStorm, type StormSize } from './storm.ts';

const PHASE_MS = 250;
const SLICE_MS = 5;

/**
 * Watches one storm that goes on by turns, each turn a quarter of a second, so that a machine whose speed
 * changes from second to second changes it for all of them.
 *
 * @returns nanoseconds from packet to packet of a sender, for each observer the medians of its turns
 */
export async function packetTimes(
  observers: readonly Observer[],
  pair: Pair,
  size: StormSize,
  turns: number,
  cleanUp: CleanUp,
): Promise<readonly (readonly number[])[]> {
  const [cpu = 0] = size.senderCpus;
  const sender = startEndlessStorm(pair, cpu);
  cleanUp.add(() => sender.stop());
  while (sentPackets(sender.pid) === 0) await sleep(SLICE_MS);
  const results = await interleaved(
    observers.map((observer) => ({
      name: observer.name,
      async run() {
        const observation = await observer.start();
        const slices = await measurePhase(sender.pid);
        await observation.stop();
        return median(slices);
      },
    })),
    turns,
  );
  await sender.stop();
  return results;
}

/** In slices, of which the median leaves out those in which something else ran. */
async function measurePhase(pid: number): Promise<readonly number[]> {
  const slices: number[] = [];
  const endsAt = performance.now() + PHASE_MS;
  let [at, sent] = [performance.now(), sentPackets(pid)];
  while (at < endsAt) {
    await sleep(SLICE_MS);
    const [nextAt, nextSent] = [performance.now(), sentPackets(pid)];
    slices.push(((nextAt - at) * 1e6) / (nextSent - sent));
    [at, sent] = [nextAt, nextSent];
  }
  return slices;
}

/** Of interface va, in the namespace of that process; 0 before it is there. */
function sentPackets(pid: number): number {
  const row = /^ *va:(.*)$/m.exec(readFileSync(`/proc/${pid}/net/dev`, 'utf8'))?.[1];
  return Number(row?.trim().split(/\s+/)[9] ?? 0);
}
