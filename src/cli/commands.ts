import type { Interruption } from './interrupt.ts';
import {
  fixOptions,
  measureOptions,
  outputOptions,
  replayOptions,
  type OptionSpec,
} from './options.ts';

export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  readonly arguments?: readonly { readonly name: string; readonly help: string }[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly string[];
  /** What they mean here, in a line. */
  readonly exitCodes?: string;
  readonly hidden?: true;
  /** Loads what it needs when it runs. @returns the exit code */
  run(
    operands: readonly string[],
    flags: Record<string, unknown>,
    interrupted: Interruption,
  ): Promise<number>;
}

/** What runs when no command is named. */
export const UNNAMED = 'session';

export const REPORT_EXIT_CODES =
  'Exit codes: 0 nothing above notice, 1 warning, 2 critical, 3 could not tell.';

const report: CommandSpec = {
  name: 'report',
  summary: 'measure, judge, print ranked causes; never asks anything',
  options: [
    ...measureOptions,
    ...replayOptions,
    ...outputOptions,
    { flags: '--fix', help: 'same as `whydrop fix`' },
    ...fixOptions,
  ],
  examples: [
    'whydrop report                      watch for 5 seconds',
    'whydrop report -d 30s -i eth0       longer, one interface',
    'whydrop report --netns web          another network namespace',
    'whydrop report --netns all          every one of this machine',
    'whydrop report --json | jq .causes  for a program',
    'whydrop report --from lost.whydrop.gz',
  ],
  exitCodes: REPORT_EXIT_CODES,
  run: async (_, flags, interrupted) =>
    flags['fix'] === true
      ? (await import('./fix.ts')).runFix(flags, interrupted)
      : (await import('./report.ts')).runReport(flags, interrupted),
};

export const commands: readonly CommandSpec[] = [
  {
    name: UNNAMED,
    summary: 'find the cause step by step: what `whydrop` does on a terminal',
    options: report.options,
    examples: ['whydrop', 'whydrop --netns web'],
    hidden: true,
    run: async (operands, flags, interrupted) =>
      wantsQuestions(flags)
        ? (await import('../wizard/session.ts')).runSession(flags, interrupted)
        : report.run(operands, flags, interrupted),
  },
  report,
  {
    name: 'fix',
    summary: 'diagnose, show the change, ask, apply, measure again, keep it or roll back',
    options: [
      ...measureOptions,
      ...fixOptions,
      ...outputOptions,
      // Refused, with the reason.
      ...replayOptions.map((option) => ({ ...option, hidden: true as const })),
    ],
    examples: [
      'whydrop fix --dry-run               show what would change',
      'whydrop fix                         ask before each change',
      'whydrop fix --yes --only ip-rpfilter',
    ],
    exitCodes:
      'Exit codes: 0 all verified, 1 applied but not verified, 2 failed and rolled back, 3 refused.',
    run: async (_, flags, interrupted) => (await import('./fix.ts')).runFix(flags, interrupted),
  },
  {
    name: 'undo',
    summary: 'list what whydrop changed, or take one change back',
    arguments: [{ name: '[id]', help: 'the change to take back; `all` for every one' }],
    options: [
      { flags: '--force', help: 'restore even what somebody else changed since' },
      { flags: '--json', help: 'print JSON' },
    ],
    examples: ['whydrop undo', 'whydrop undo 20261122-031500.1', 'whydrop undo all'],
    exitCodes: 'Exit codes: 0 listed or restored, 2 not all restored, 3 could not tell.',
    run: async (operands, flags) => (await import('./undo.ts')).runUndo(operands, flags),
  },
  {
    name: 'record',
    summary: 'save everything a report reads, to be diagnosed elsewhere',
    options: [
      ...measureOptions,
      { flags: '-o, --output <file>', help: 'the recording; compressed when it ends with .gz' },
      ...outputOptions.filter(({ flags }) => /--(?:plain|quiet|verbose)\b/.test(flags)),
    ],
    examples: [
      'whydrop record -o lost.whydrop.gz',
      'whydrop report --from lost.whydrop.gz   anywhere, without root',
    ],
    run: async (_, flags, interrupted) =>
      (await import('./record.ts')).runRecord(flags, interrupted),
  },
  {
    name: 'explain',
    summary: 'what a cause means, how to confirm it, what the fix costs',
    arguments: [{ name: '<cause>', help: 'a cause id, such as ip-rpfilter' }],
    options: [],
    examples: ['whydrop explain nf-conntrack-full'],
    run: async (operands) => (await import('./explain.ts')).runExplain(operands),
  },
  {
    name: 'list',
    summary: 'the causes it knows, the sources it reads',
    arguments: [{ name: '<what>', help: 'causes or checks' }],
    options: [],
    examples: ['whydrop list causes', 'whydrop list checks'],
    run: async (operands) => (await import('./list.ts')).runList(operands),
  },
];

/** Somebody is there, and has not asked for what a report gives. */
function wantsQuestions(flags: Record<string, unknown>): boolean {
  const { stdin, stdout, stderr } = process;
  return (
    stdin.isTTY &&
    stdout.isTTY &&
    stderr.isTTY &&
    flags['input'] !== false &&
    flags['format'] === 'text' &&
    ['json', 'from', 'output', 'quiet', 'fix'].every((name) => flags[name] === undefined)
  );
}
