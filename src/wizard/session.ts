import type { Host } from '../model/host.ts';
import type { Report, ReportCause } from '../model/report.ts';
import { rules } from '../../rules/index.ts';
import { exitCodeOf } from '../engine/verdict.ts';
import { fixDiagnosed, type FixFlags } from '../cli/fix.ts';
import { layOut, plainLines, type Line } from '../cli/fix-text.ts';
import { Interrupted, type Interruption } from '../cli/interrupt.ts';
import { openHost } from '../cli/open-host.ts';
import { isPlain, lookOf, print } from '../cli/output.ts';
import { DEFAULT_DURATION } from '../cli/options.ts';
import { diagnoseWithProgress, present } from '../cli/report.ts';
import { settleUnfinished } from '../cli/unfinished.ts';
import { quoteArgv } from '../model/shell-quote.ts';
import { renderCausePage } from '../render/cause-page.ts';
import { printable } from '../render/printable.ts';
import { verdictText } from '../render/verdict-text.ts';
import { Asker, type Choice } from '../cli/ask.ts';
import { symptoms, type Symptom } from './symptoms.ts';

/**
 * The guided session: what do you see, where, measure, ranked causes, then evidence, explanation or
 * fix of each, as often as wanted. Ends with the command that measures the same. @returns the exit code
 */
export async function runSession(
  given: Record<string, unknown>,
  interrupted: Interruption,
): Promise<number> {
  const flags = given as unknown as FixFlags;
  const ask = new Asker(interrupted, isPlain(flags));
  process.stderr.write(
    isRoot()
      ? 'Nothing is changed unless you say so. Ctrl-C ends this at any time.\n'
      : 'Without root much cannot be seen: `sudo whydrop` finds more.\n',
  );
  await settleUnfinished(ask, flags);
  const symptom = await ask.choose(
    'What do you see?',
    symptoms.map((value) => ({ name: value.name, value })),
  );
  const netns = flags.netns ?? (await askNetns(ask));
  const host = await openHost(netns ?? null);
  try {
    const iface = flags.iface ?? (await askInterface(ask, host));
    const duration = flags.duration ?? (await askDuration(ask, symptom));
    const asked: FixFlags = {
      ...flags,
      duration,
      ...(netns === undefined ? {} : { netns }),
      ...(iface === undefined ? {} : { iface }),
    };
    return await talk({ host, flags: asked, symptom, ask, interrupted });
  } finally {
    await host.close();
  }
}

interface Session {
  readonly host: Host;
  readonly flags: FixFlags;
  readonly symptom: Symptom;
  readonly ask: Asker;
  readonly interrupted: Interruption;
}

/** Exit codes of a fix that stays. */
const VERIFIED = 0;
const UNVERIFIED = 1;

/** Asks only where there is something to choose. */
async function askNetns(ask: Asker): Promise<string | undefined> {
  const here = await openHost(null);
  try {
    const named = await here.list('/run/netns');
    const names = named.status === 'ok' ? named.value : [];
    if (names.length === 0) return undefined;
    return await ask.choose<string | undefined>('In which network namespace?', [
      { name: 'this one', value: undefined },
      ...names.map((name) => ({ name: printable(name), value: name })),
    ]);
  } finally {
    await here.close();
  }
}

async function askInterface(ask: Asker, host: Host): Promise<string[] | undefined> {
  const listed = await host.list('/sys/class/net');
  const names = (listed.status === 'ok' ? listed.value : []).filter((name) => name !== 'lo');
  if (names.length < 2) return undefined;
  return ask.choose<string[] | undefined>('On which interface?', [
    { name: 'all of them', value: undefined },
    ...names.map((name) => ({ name: printable(name), value: [name] })),
  ]);
}

async function askDuration(ask: Asker, { advice }: Symptom): Promise<string> {
  return ask.choose(`${advice} How long shall I watch?`, [
    { name: '5 seconds', value: '5s' },
    { name: '30 seconds, for loss that comes and goes', value: '30s' },
    { name: '2 minutes', value: '2m' },
  ]);
}

/** @returns the exit code */
async function talk(session: Session): Promise<number> {
  for (;;) {
    const exitCode = await measureAndTalk(session);
    if (exitCode !== undefined) {
      await print(`\nThe same without questions:\n  ${sameCommand(session.flags)}\n`);
      return exitCode;
    }
  }
}

/** @returns the exit code, or undefined: measure again */
async function measureAndTalk(session: Session): Promise<number | undefined> {
  const { host, flags, symptom, ask, interrupted } = session;
  const diagnosis = await diagnoseWithProgress(host, flags, interrupted.signal);
  const { report } = diagnosis;
  await present(report, flags);
  await print(layOut(notFound(report, symptom), lookOf(flags)));
  let exitCode = exitCodeOf(report.verdict, flags.failOn);
  let changed = false;
  for (;;) {
    const action = await askAction(ask, report, changed);
    switch (action.kind) {
      case 'quit':
        return exitCode;
      case 'again':
        return undefined;
      case 'back':
        break;
      case 'everything':
        await present(report, { ...flags, verbose: true });
        break;
      case 'evidence':
        await present(evidenceFor(report, action.cause), { ...flags, verbose: true });
        break;
      case 'explain':
        await explain(action.cause);
        break;
      case 'fix': {
        const only = action.cause.fixes.map(({ id }) => `${action.cause.id}/${id}`);
        const fixed = await fixDiagnosed(host, diagnosis, { flags, only, ask, interrupted });
        if (interrupted.signal.aborted) throw new Interrupted();
        if (fixed === VERIFIED || fixed === UNVERIFIED) {
          changed = true;
          exitCode = fixed;
        }
        break;
      }
    }
  }
}

type Action =
  | { readonly kind: 'evidence' | 'explain' | 'fix'; readonly cause: ReportCause }
  | { readonly kind: 'again' | 'everything' | 'back' | 'quit' };

/** Of one cause, all that can be done with it; of several, first which. */
async function askAction(ask: Asker, report: Report, changed: boolean): Promise<Action> {
  const again = { name: 'Measure again', value: { kind: 'again' } as const };
  const quit = { name: 'Quit', value: { kind: 'quit' } as const };
  // The report is about settings that are no more.
  if (changed) return ask.choose<Action>('What next?', [again, quit]);

  const question = `${printable(verdictText(report).headline)}. What next?`;
  const everything = {
    name: 'Show everything that was looked at',
    value: { kind: 'everything' } as const,
  };
  const [first, ...others] = report.causes;
  if (first === undefined) return ask.choose<Action>(question, [again, everything, quit]);
  if (others.length === 0) {
    return ask.choose<Action>(question, [...actionsFor(first), again, everything, quit]);
  }
  const chosen = await ask.choose<Action | ReportCause>(question, [
    ...report.causes.map((cause) => ({ name: titleOf(cause), value: cause })),
    again,
    everything,
    quit,
  ]);
  if ('kind' in chosen) return chosen;
  const back = { name: 'Back', value: { kind: 'back' } as const };
  return ask.choose<Action>(titleOf(chosen), [...actionsFor(chosen), back]);
}

function actionsFor(cause: ReportCause): readonly Choice<Action>[] {
  const fixable =
    isRoot() && cause.fixes.some(({ steps }) => steps.every(({ kind }) => kind === 'sysctl'));
  return [
    ...(fixable
      ? [
          {
            name: 'Fix it (shows the change, then asks)',
            short: 'Fix it',
            value: { kind: 'fix', cause } as const,
          },
        ]
      : []),
    { name: 'Why this cause: the evidence', value: { kind: 'evidence', cause } },
    { name: 'What it means, in more words', value: { kind: 'explain', cause } },
  ];
}

function titleOf({ rank, title, scope }: ReportCause): string {
  const place = scope.interface ?? scope.socket ?? scope.process?.name;
  return printable(`${rank}. ${title}${place === undefined ? '' : ` (${place})`}`);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Says of a quiet report that it looked for what the user sees. */
function notFound({ causes, notJudged }: Report, symptom: Symptom): readonly Line[] {
  const unjudged = new Set(notJudged.map(({ rule }) => rule));
  const judged = symptom.causes.filter((id) => !unjudged.has(id));
  if (causes.length > 0 || judged.length === 0) return [];
  return plainLines(`Of what causes that, nothing was at work: ${judged.join(', ')}.`);
}

/** One cause with all its evidence, without what the first report has said already. */
function evidenceFor(report: Report, cause: ReportCause): Report {
  return {
    ...report,
    causes: [cause],
    benign: [],
    unexplained: [],
    elsewhere: { ...report.elsewhere, packets: 0 },
    notJudged: [],
    notes: [],
    checks: [],
    suppressed: [],
    crashed: [],
  };
}

async function explain({ id }: ReportCause): Promise<void> {
  const rule = rules.find((candidate) => candidate.id === id);
  if (rule !== undefined) await print(`\n${renderCausePage(rule)}\n`);
}

/** The command line that measures the same. */
function sameCommand({ netns, iface = [], duration = DEFAULT_DURATION }: FixFlags): string {
  return quoteArgv([
    'whydrop',
    'report',
    ...(netns === undefined ? [] : ['--netns', netns]),
    ...iface.flatMap((name) => ['--iface', name]),
    '--duration',
    duration,
  ]);
}
