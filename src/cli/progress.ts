import type { ListrDefaultRendererLogLevels } from 'listr2';
import type { Progress } from '../engine/collect.ts';

const TITLES: Readonly<Record<Progress['stage'], string>> = {
  starting: 'Start the live drop capture',
  first: 'Read counters and settings',
  window: 'Watch drops as they happen',
  last: 'Read the counters again',
  judging: 'Find the causes',
};
const STAGES = ['starting', 'first', 'window', 'last', 'judging'] as const;

/**
 * Runs `work` with its stages shown on stderr: a live list on a terminal, plain lines when asked
 * (`plain`), nothing in a log. stdout stays clean.
 */
export async function withProgress<Value>(
  style: 'live' | 'plain' | 'none',
  work: (onProgress: (progress: Progress) => void) => Promise<Value>,
): Promise<Value> {
  if (style === 'none') return work(() => {});
  if (style === 'plain') return work(({ stage }) => process.stderr.write(`${TITLES[stage]} ...\n`));

  const { DefaultRenderer, Listr, ListrLogger, ProcessOutput } = await import('listr2');
  /** listr2 takes the terminal for stdout's, and prints plain lines there when stdout is a file. */
  class Renderer extends DefaultRenderer {
    static override readonly nonTTY = true;
  }
  const stages = new Map(STAGES.map((stage) => [stage, new Gate()]));
  let windowSeconds = 0;
  let current = -1;
  const result = work((progress) => {
    if (progress.stage === 'window') windowSeconds = progress.seconds;
    current = STAGES.indexOf(progress.stage);
    // Everything before the stage that begins now is over, also a stage that was left out.
    for (const stage of STAGES.slice(0, current + 1)) stages.get(stage)?.begin();
    for (const stage of STAGES.slice(0, current)) stages.get(stage)?.end();
  });
  const openAll = (): void => {
    for (const gate of stages.values()) {
      gate.begin();
      gate.end();
    }
  };
  result.then(openAll, openAll);

  const list = new Listr(
    STAGES.map((stage) => ({
      title: TITLES[stage],
      task: async (_: unknown, task: { output: string }): Promise<void> => {
        const gate = stages.get(stage);
        await gate?.begun;
        const ticking =
          stage === 'window' ? countDown(windowSeconds, (text) => (task.output = text)) : undefined;
        await gate?.ended;
        clearInterval(ticking);
      },
    })),
    {
      concurrent: false,
      renderer: Renderer,
      // listr2's own handler calls process.exit(127); interrupt.ts is ours.
      registerSignalListeners: false,
      rendererOptions: {
        clearOutput: true,
        // listr2 splits its output over stdout and stderr; stdout is the report's.
        logger: new ListrLogger<ListrDefaultRendererLogLevels>({
          processOutput: new ProcessOutput(process.stderr, process.stderr),
        }),
      },
    },
  );
  await list.run();
  return result;
}

function countDown(seconds: number, show: (text: string) => void): NodeJS.Timeout {
  const endsAt = performance.now() + seconds * 1000;
  const tick = (): void => {
    show(`${Math.max(0, (endsAt - performance.now()) / 1000).toFixed(0)} s left`);
  };
  tick();
  return setInterval(tick, 250);
}

/** A stage that begins and ends once. */
class Gate {
  begin = (): void => {};
  end = (): void => {};
  readonly begun = new Promise<void>((resolve) => {
    this.begin = resolve;
  });
  readonly ended = new Promise<void>((resolve) => {
    this.end = resolve;
  });
}
