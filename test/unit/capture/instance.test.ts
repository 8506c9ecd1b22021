import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  instanceName,
  lostEvents,
  processStartTime,
  removeStaleInstances,
  ringBytes,
} from '../../../src/capture/instance.ts';

let directory: string;
let proc: string;
let instances: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'whydrop-instance-'));
  proc = join(directory, 'proc');
  instances = join(directory, 'instances');
  mkdirSync(proc);
  mkdirSync(instances);
});
afterEach(() => rmSync(directory, { recursive: true }));

function addProcess(pid: number, startTime: string, name = 'node'): void {
  mkdirSync(join(proc, String(pid)));
  const numbers = Array.from({ length: 30 }, (_, index) => String(index)).fill(startTime, 18, 19);
  writeFileSync(join(proc, String(pid), 'stat'), `${pid} (${name}) S ${numbers.join(' ')}\n`);
}

test('removes instances of dead processes and of reused ids, and no others', () => {
  addProcess(100, '5000');
  addProcess(200, '7000');
  const stay = [
    instanceName(100, '5000'),
    'whydrop',
    'whydrop-100',
    'whydrop-300-1-mine',
    'xwhydrop-300-1',
    'my-trace',
  ];
  const go = [instanceName(200, '6999'), instanceName(300, '5000')];
  for (const name of [...stay, ...go]) mkdirSync(join(instances, name));
  removeStaleInstances(instances, proc);
  expect(readdirSync(instances)).toEqual(stay.sort());
});

test('an instance in use stays (the kernel says EBUSY, a directory ENOTEMPTY)', () => {
  const busy = instanceName(300, '1');
  mkdirSync(join(instances, busy, 'open'), { recursive: true });
  mkdirSync(join(instances, instanceName(301, '1')));
  removeStaleInstances(instances, proc);
  expect(readdirSync(instances)).toEqual([busy]);
});

test('a process name cannot forge the start time', () => {
  addProcess(100, '5000', 'a) R 1 1 1 (b c');
  expect(processStartTime(100, proc)).toBe('5000');
});

test('knows the start time of this process, and none of a dead one', () => {
  expect(processStartTime(process.pid)).toMatch(/^\d+$/);
  expect(processStartTime(100, proc)).toBeUndefined();
});

test.each([
  [1, 8],
  [8, 8],
  [16, 4],
  [64, 1],
  [256, 1],
])('%i CPUs get %i MiB each', (cpus, mebibytes) => {
  expect(ringBytes(cpus)).toBe(mebibytes * 2 ** 20);
});

test('adds up the ways of losing an event', () => {
  const stats = `entries: 3
overrun: 100
commit overrun: 20
bytes: 999
oldest event ts:  2231.123456
now ts:  2231.223456
dropped events: 4000
read events: 77777
`;
  expect(lostEvents(stats)).toBe(4123);
  expect(lostEvents('')).toBe(0);
});
