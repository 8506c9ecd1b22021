import type { Interruption } from './interrupt.ts';
import {
  fixOptions,
  measureOptions,
  outputOptions,
  packetOptions,
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
    ...packetOptions,
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
    'whydrop report --capture bpf --pcap dropped.pcapng',
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
    name: 'import',
    summary: "judge another tool's output: dropwatch, perf script, retis, netstat -i",
    arguments: [{ name: '<file>', help: 'text of any of them, or several; `-` is standard input' }],
    options: outputOptions.filter(({ flags }) => !/--(?:quiet|no-input)\b/.test(flags)),
    examples: [
      'whydrop import drops.txt         prompts, mail quotes and prose are passed over',
      'whydrop import -                 from a pipe: perf script | whydrop import -',
      'whydrop import --json drops.txt | jq .findings',
    ],
    exitCodes:
      'Exit codes: 0 nothing points at a loss, 1 some of it may be lost traffic, 3 it cannot tell.',
    run: async (operands, flags) => (await import('./import.ts')).runImport(operands, flags),
  },
  {
    name: 'explain',
    summary: 'what a cause, drop reason, kernel function or counter means',
    arguments: [
      { name: '<name...>', help: 'as reports, tracepoints, /proc and other tools print it' },
    ],
    options: [{ flags: '--json', help: 'print JSON' }],
    examples: [
      'whydrop explain nf-conntrack-full      a cause: the proof, the fix, what it costs',
      'whydrop explain NOT_SPECIFIED          a drop reason',
      'whydrop explain nf_hook_slow+0xb0      a kernel function that frees packets',
      'whydrop explain TcpExt ListenOverflows',
      'whydrop explain rp_filter              anything else: the causes that speak of it',
    ],
    run: async (operands, flags) => (await import('./explain.ts')).runExplain(operands, flags),
  },
  {
    name: 'list',
    summary: 'what it knows: causes, checks, drop reasons, functions, counters',
    arguments: [{ name: '<what>', help: 'causes, checks, reasons, functions or counters' }],
    options: [{ flags: '--json', help: 'print JSON' }],
    examples: ['whydrop list causes', 'whydrop list checks', 'whydrop list reasons --json'],
    run: async (operands, flags) => (await import('./list.ts')).runList(operands, flags),
  },
  {
    name: 'self-check',
    summary: 'what it can and cannot see on this host, and what would help',
    options: outputOptions.filter(({ flags }) => /--(?:json|color|plain)\b/.test(flags)),
    examples: ['whydrop self-check', 'whydrop self-check --json | jq .diagnosis'],
    exitCodes:
      'Exit codes: 0 a full diagnosis is possible, 1 one with something missing, 3 no verdict.',
    run: async (_, flags) => (await import('./self-check.ts')).runSelfCheck(flags),
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
    ['json', 'from', 'output', 'pcap', 'quiet', 'fix'].every((name) => flags[name] === undefined)
  );
}
