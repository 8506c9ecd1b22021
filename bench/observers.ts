import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../test/lab/command.ts';
import { startChild, type Child } from './child.ts';
import { startReport, type ReportRun } from './report-run.ts';

/** Something that watches drops while a storm is on. */
export interface Observer {
  readonly name: string;
  readonly command: string;
  /** Resolves once it watches. */
  start(): Promise<Observation>;
}

export interface Observation {
  /** Ends it. To be called after the storm. */
  stop(): Promise<Seen>;
}

export interface Seen {
  /** Drop events it saw, of the whole machine; null: it does not look. */
  readonly events: number | null;
  /** Events it says were lost; null: it does not say. */
  readonly lost: number | null;
  readonly peakMB?: number;
}

export const nobody: Observer = {
  name: 'nobody watching',
  command: '',
  start: async () => ({ stop: async () => ({ events: null, lost: null }) }),
};

/** @param seconds must be longer than the storm */
export function whydropReport(program: string, netns: string, seconds: number): Observer {
  const args = ['--netns', netns, '--duration', `${seconds}s`, '--capture', 'tracefs'];
  return {
    name: 'whydrop',
    command: `whydrop report --capture tracefs --duration ${seconds}s`,
    async start() {
      const { watching, done } = startReport(program, args);
      // It may fail before anybody waits for it.
      const ended = done.then(
        (result): ReportRun | Error => result,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      );
      await watching;
      const endsAt = performance.now() + seconds * 1000;
      return {
        async stop() {
          if (performance.now() > endsAt) throw new Error('the storm outlasted the window');
          const result = await ended;
          if (result instanceof Error) throw result;
          const { events, lost } = result.report.capture;
          return { events, lost, peakMB: result.peakMB };
        },
      };
    },
  };
}

const PERF = ['perf', 'record', '-e', 'skb:kfree_skb', '-a'] as const;

export const perf: Observer = {
  name: 'perf record',
  command: PERF.join(' '),
  async start() {
    const directory = await mkdtemp(join(tmpdir(), 'whydrop-bench-'));
    const file = join(directory, 'perf.data');
    const child = withTracefs([...PERF, '-o', file]);
    await settled(child);
    return {
      async stop() {
        const said = await interrupt(child);
        // The summary may count other events as well; the file's own statistics do not.
        const statistics = await run(`perf report -i ${file} --stats`);
        await rm(directory, { recursive: true });
        const samples = /^skb:kfree_skb stats:\s+SAMPLE events:\s+(\d+)/m.exec(statistics)?.[1];
        if (samples === undefined) throw new Error(`perf counted nothing: ${said}`);
        return { events: Number(samples), lost: null };
      },
    };
  },
};

const COUNT = 'tracepoint:skb:kfree_skb { @[args->reason, args->location] = count(); }';

export const bpftrace: Observer = {
  name: 'bpftrace',
  command: `bpftrace -e '${COUNT}'`,
  async start() {
    const child = withTracefs(['bpftrace', '-e', COUNT]);
    await settled(child);
    return {
      async stop() {
        const said = await interrupt(child);
        const counts = [...said.matchAll(/^@\[.*\]: (\d+)$/gm)].map(([, count]) => Number(count));
        return { events: counts.reduce((sum, count) => sum + count, 0), lost: null };
      },
    };
  },
};

/** Where a program that is not installed is left out. */
export async function isInstalled(program: string): Promise<boolean> {
  return run(`which ${program}`).then(
    () => true,
    () => false,
  );
}

/**
 * Both need a tracefs and may mount one for good: they get one that goes with them. No storm lasts as
 * long as they may; they end even when we are killed.
 */
function withTracefs(command: readonly string[]): Child {
  const mount = 'mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"';
  return startChild('timeout', [
    '--signal=INT',
    '100',
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--',
    'sh',
    '-c',
    mount,
    'sh',
    ...command,
  ]);
}

const outputs = new WeakMap<Child, { text: string }>();

/** They do not tell when they watch: two seconds are several times what they need. */
async function settled(child: Child): Promise<void> {
  const output = { text: '' };
  outputs.set(child, output);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output.text += text;
    });
  }
  await sleep(2000);
  if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended: ${output.text}`);
}

/** @returns all that it said */
async function interrupt(child: Child): Promise<string> {
  const closed = once(child, 'close');
  child.kill('SIGINT');
  await closed;
  return outputs.get(child)?.text ?? '';
}
