import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Section } from './figure.ts';
import { ms } from './figure.ts';
import { interleaved, median } from './statistics.ts';

const execute = promisify(execFile);

/** What the program costs before it does anything: against node itself, which it cannot undercut. */
export async function measureStartup(program: string, rounds: number): Promise<Section> {
  const commands = {
    bare: ['-e', '0'],
    version: [program, '--version'],
    help: [program, '--help'],
    list: [program, 'list', 'causes'],
  } as const;
  const names = Object.keys(commands) as (keyof typeof commands)[];
  const times = await interleaved(
    names.map((name) => ({ name, run: () => timeOf(commands[name]) })),
    rounds,
  );
  const medians = new Map(names.map((name, index) => [name, median(times[index] ?? [])]));
  const bareMs = medians.get('bare') ?? Number.NaN;
  const ratioOf = (name: keyof typeof commands): number => (medians.get(name) ?? 0) / bareMs;
  return {
    title: `Start-up, as a ratio to bare node (${rounds} interleaved rounds, medians)`,
    figures: [
      {
        id: 'startup.version',
        what: 'whydrop --version',
        value: ratioOf('version'),
        unit: '×',
        goal: { atMost: 1.5 },
        command: 'whydrop --version  ÷  node -e 0',
      },
      {
        id: 'startup.help',
        what: 'whydrop --help',
        value: ratioOf('help'),
        unit: '×',
        command: 'whydrop --help  ÷  node -e 0',
      },
      {
        id: 'startup.rules',
        what: 'whydrop list causes (loads every rule)',
        value: ratioOf('list'),
        unit: '×',
        command: 'whydrop list causes  ÷  node -e 0',
      },
    ],
    breakdowns: [],
    notes: [`node -e 0 took ${ms(bareMs)} here.`],
  };
}

async function timeOf(args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  await execute(process.execPath, args, { env: { PATH: process.env['PATH'] ?? '' } });
  return performance.now() - startedAt;
}
