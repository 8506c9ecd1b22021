import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBpfCapture } from '../src/capture/bpf/capture.ts';
import { loadLibBpf } from '../src/capture/bpf/libbpf.ts';
import { run } from '../test/lab/command.ts';
import { startChild, type Child } from './child.ts';
import { startReport, type ReportRun } from './report-run.ts';

/** Something that watches drops while a storm is on. */
export interface Observer {
  /** Part of a figure's id. */
  readonly id: string;
  readonly name: string;
  readonly command: string;
  /** Why it cannot watch here; null: it can. */
  unavailable(): Promise<string | null>;
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
  id: 'nobody',
  name: 'nobody watching',
  command: '',
  unavailable: async () => null,
  start: async () => ({ stop: async () => ({ events: null, lost: null }) }),
};

/** The capture alone, in this process: for storms that go on. */
export const captureAlone: Observer = {
  ...nobody,
  id: 'capture',
  name: 'whydrop’s program',
  async start() {
    const capture = await startBpfCapture();
    if (capture.status !== 'ok') throw new Error(capture.reason);
    capture.value.mark('window-open');
    return {
      async stop() {
        const drops = await capture.value.stop();
        if (drops.status !== 'ok') throw new Error(drops.reason);
        return { events: drops.value.events, lost: drops.value.lost };
      },
    };
  },
};

/** bench/empty.bpf.c: what the tracepoint costs, and the measuring. */
export const emptyProgram: Observer = {
  ...nobody,
  id: 'empty',
  name: 'empty program',
  async start() {
    const lib = await loadLibBpf();
    if (lib.status !== 'ok') throw new Error(lib.reason);
    const { openObject, loadObject, findProgram, attachProgram, destroyLink, closeObject } =
      lib.value;
    const object = openObject(fileURLToPath(new URL('empty.bpf.o', import.meta.url)), null);
    const loaded = object !== null && loadObject(object) === 0;
    const program = loaded ? findProgram(object, 'empty') : null;
    const link = program === null ? null : attachProgram(program);
    if (object === null || link === null) throw new Error(lib.value.takeMessages());
    return {
      async stop() {
        destroyLink(link);
        closeObject(object);
        return { events: null, lost: null };
      },
    };
  },
};

/** @param seconds must be longer than the storm */
export function whydropReport(
  program: string,
  capture: 'bpf' | 'tracefs',
  netns: string,
  seconds: number,
): Observer {
  const args = ['--netns', netns, '--duration', `${seconds}s`, '--capture', capture];
  return {
    id: `whydrop-${capture}`,
    name: `whydrop, ${{ bpf: 'BPF', tracefs: 'tracefs' }[capture]}`,
    command: `whydrop report --capture ${capture} --duration ${seconds}s`,
    unavailable: async () => null,
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
          return { events, lost, peakMB: result.usage.peakMB };
        },
      };
    },
  };
}

export const perf = perfRecord('perf', 'perf record', []);
export const perfWithStacks = perfRecord('perf-stacks', 'perf record -g', ['-g']);

function perfRecord(id: string, name: string, options: readonly string[]): Observer {
  const command = ['perf', 'record', '-e', 'skb:kfree_skb', '-a', ...options];
  return {
    id,
    name,
    command: command.join(' '),
    unavailable: () => notInstalled('perf'),
    async start() {
      const directory = await mkdtemp(join(tmpdir(), 'whydrop-bench-'));
      const file = join(directory, 'perf.data');
      const child = withTracefs([...command, '-o', file]);
      const output = outputOf(child);
      await settled(child);
      return {
        async stop() {
          await interrupt(child);
          // The summary may count other events as well; the file's own statistics do not.
          const statistics = await run(`perf report -i ${file} --stats`);
          await rm(directory, { recursive: true });
          const samples = /^skb:kfree_skb stats:\s+SAMPLE events:\s+(\d+)/m.exec(statistics)?.[1];
          if (samples === undefined) throw new Error(`perf counted nothing: ${output.text}`);
          return { events: Number(samples), lost: null };
        },
      };
    },
  };
}

const COUNT = 'tracepoint:skb:kfree_skb { @[args->reason, args->location] = count(); }';

export const bpftrace: Observer = {
  id: 'bpftrace',
  name: 'bpftrace, reason and location',
  command: `bpftrace -e '${COUNT}'`,
  unavailable: () => notInstalled('bpftrace'),
  async start() {
    const child = withTracefs(['bpftrace', '-e', COUNT]);
    const output = outputOf(child);
    await settled(child);
    return {
      async stop() {
        await interrupt(child);
        const counts = [...output.text.matchAll(/^@\[.*\]: (\d+)$/gm)].map(([, count]) =>
          Number(count),
        );
        return { events: counts.reduce((sum, count) => sum + count, 0), lost: null };
      },
    };
  },
};

/** Drop monitor: the kernel sends a summary by netlink once a second. */
export const dropwatch: Observer = {
  id: 'dropwatch',
  name: 'dropwatch',
  command: 'dropwatch, start',
  async unavailable() {
    const missing = await notInstalled('dropwatch');
    if (missing !== null) return missing;
    // It says so when the kernel is built without NET_DROP_MONITOR, and ends.
    const child = startChild('timeout', ['2', 'dropwatch']);
    const output = outputOf(child);
    child.stdin.end('exit\n');
    await once(child, 'close');
    const complaint = /^.*can't work.*$/m.exec(output.text)?.[0];
    return complaint === undefined ? null : `cannot run: ${complaint}`;
  },
  async start() {
    const child = startChild('timeout', ['--signal=INT', '100', 'dropwatch']);
    const output = outputOf(child);
    child.stdin.write('start\n');
    await settled(child);
    return {
      async stop() {
        const closed = once(child, 'close');
        child.stdin.end('stop\nexit\n');
        await closed;
        const drops = [...output.text.matchAll(/^(\d+) drops at /gm)].map(([, count]) =>
          Number(count),
        );
        return { events: drops.reduce((sum, count) => sum + count, 0), lost: null };
      },
    };
  },
};

export const retis: Observer = {
  id: 'retis',
  name: 'retis',
  command: 'retis collect -c skb-drop,skb',
  unavailable: () => notInstalled('retis'),
  async start() {
    const child = withTracefs(['retis', 'collect', '--collectors', 'skb-drop,skb']);
    const output = outputOf(child);
    await settled(child);
    return {
      async stop() {
        await interrupt(child);
        return { events: output.text.match(/\bdrop \(/g)?.length ?? 0, lost: null };
      },
    };
  },
};

async function notInstalled(program: string): Promise<string | null> {
  return run(`which ${program}`).then(
    () => null,
    () => 'not installed',
  );
}

/**
 * They need a tracefs and may mount one for good: they get one that goes with them. No storm lasts as
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

/** They do not tell when they watch: two seconds are several times what they need. */
async function settled(child: Child): Promise<void> {
  await sleep(2000);
  if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended`);
}

async function interrupt(child: Child): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGINT');
  await closed;
}

/** All that it says, on both streams, as it comes. */
function outputOf(child: Child): { readonly text: string } {
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output.text += text;
    });
  }
  return output;
}
