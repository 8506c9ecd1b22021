import type { Diagnosis } from '../engine/diagnose.ts';
import type { Host } from '../model/host.ts';
import type { ReportCause } from '../model/report.ts';
import { rules } from '../../rules/index.ts';
import { exitCodeOf } from '../engine/verdict.ts';
import { fixDiagnosed, reportUnfinished, type FixFlags } from '../cli/fix.ts';
import { interruptible, type Interruption } from '../cli/interrupt.ts';
import { listOf, openHost } from '../cli/measure.ts';
import { lookOf, print } from '../cli/output.ts';
import { diagnoseWithProgress, present } from '../cli/report.ts';
import { quoteArgv } from '../model/shell-quote.ts';
import { renderCausePage } from '../render/cause-page.ts';
import { printable } from '../render/printable.ts';
import { renderText } from '../render/text.ts';
import { Cancelled, choose } from './ask.ts';
import { causesFor, symptoms, type Symptom } from './symptoms.ts';

const CANCELLED = 130;

/**
 * The guided session: what do you see, where, measure, ranked causes, evidence, explanation or fix,
 * measure again. Ends with the one-line command that would have done the same. @returns the exit code
 */
export async function runSession(given: Record<string, unknown>): Promise<number> {
  const flags = given as unknown as FixFlags;
  const interrupted = interruptible();
  await reportUnfinished();
  try {
    const symptom = await choose(
      'What do you see?',
      symptoms.map((value) => ({ name: value.name, value })),
    );
    const netns = flags.netns ?? (await askNetns());
    const host = await openHost(netns);
    try {
      const iface = flags.iface ?? (await askInterface(host));
      const duration = await askDuration(symptom);
      const asked: FixFlags = {
        ...flags,
        duration,
        verify: true,
        ...(netns === null ? {} : { netns }),
        ...(iface === undefined ? {} : { iface }),
      };
      return await measureAndTalk(host, asked, symptom, interrupted);
    } finally {
      await host.close();
    }
  } catch (error) {
    if (error instanceof Cancelled) return CANCELLED;
    throw error;
  }
}

/** Asks only where there is something to choose. */
async function askNetns(): Promise<string | null> {
  const here = await openHost(null);
  try {
    const named = await here.list('/run/netns');
    const names = named.status === 'ok' ? named.value : [];
    if (names.length === 0) return null;
    return await choose<string | null>('In which network namespace?', [
      { name: 'this one', value: null },
      ...names.map((name) => ({ name: printable(name), value: name })),
    ]);
  } finally {
    await here.close();
  }
}

async function askInterface(host: Host): Promise<string | undefined> {
  const listed = await host.list('/sys/class/net');
  const names = (listed.status === 'ok' ? listed.value : []).filter((name) => name !== 'lo');
  if (names.length < 2) return undefined;
  return choose<string | undefined>('On which interface?', [
    { name: 'all of them', value: undefined },
    ...names.map((name) => ({ name: printable(name), value: name })),
  ]);
}

async function askDuration(symptom: Symptom): Promise<string> {
  return choose(`How long shall I watch? ${symptom.advice}`, [
    { name: '5 seconds', value: '5s' },
    { name: '30 seconds, for loss that comes and goes', value: '30s' },
    { name: '2 minutes', value: '2m' },
  ]);
}

type Action =
  | { readonly kind: 'evidence' | 'explain' | 'fix'; readonly cause: ReportCause }
  | { readonly kind: 'again' | 'everything' | 'quit' };

async function measureAndTalk(
  host: Host,
  flags: FixFlags,
  symptom: Symptom,
  interrupted: Interruption,
): Promise<number> {
  let diagnosis = await diagnoseWithProgress(host, flags, interrupted.signal);
  if (interrupted.exitCode !== undefined) return interrupted.exitCode;
  await showReport(diagnosis, flags, symptom);
  for (;;) {
    const action = await choose<Action>('What next?', actionsFor(diagnosis, flags));
    switch (action.kind) {
      case 'quit': {
        await print(`\nThe same without questions:\n  ${sameCommand(flags)}\n`);
        return exitCodeOf(diagnosis.report.verdict, flags.failOn);
      }
      case 'everything': {
        await present(diagnosis.report, { ...flags, verbose: true });
        break;
      }
      case 'again': {
        diagnosis = await diagnoseWithProgress(host, flags, interrupted.signal);
        await showReport(diagnosis, flags, symptom);
        break;
      }
      case 'evidence': {
        await showEvidence(diagnosis, action.cause, flags);
        break;
      }
      case 'explain': {
        const rule = rules.find(({ id }) => id === action.cause.id);
        if (rule !== undefined) await print(`\n${renderCausePage(rule)}\n`);
        break;
      }
      case 'fix': {
        const chosen = action.cause.fixes.map(({ id }) => `${action.cause.id}/${id}`);
        await fixDiagnosed(host, diagnosis, { ...flags, chosen }, interrupted);
        break;
      }
    }
    if (interrupted.exitCode !== undefined) return interrupted.exitCode;
  }
}

function actionsFor({ report }: Diagnosis, { netns }: FixFlags) {
  const root = process.getuid?.() === 0;
  const actions: { name: string; value: Action; description?: string }[] = report.causes.flatMap(
    (cause) => {
      const name = `${cause.rank}. ${printable(cause.title)}`;
      const fixable =
        root && cause.fixes.some(({ steps }) => steps.every(({ kind }) => kind === 'sysctl'));
      return [
        ...(fixable
          ? [
              {
                name: `Fix ${name}`,
                value: { kind: 'fix', cause } as const,
                description: 'shows the change first, asks, measures again',
              },
            ]
          : []),
        { name: `Explain ${name}`, value: { kind: 'explain', cause } as const },
        { name: `Evidence for ${name}`, value: { kind: 'evidence', cause } as const },
      ];
    },
  );
  return [
    ...actions,
    { name: 'Measure again', value: { kind: 'again' } as const },
    { name: 'Show everything that was looked at', value: { kind: 'everything' } as const },
    {
      name: `Quit${netns === undefined ? '' : ` (${printable(netns)})`}`,
      value: { kind: 'quit' } as const,
    },
  ];
}

async function showReport({ report }: Diagnosis, flags: FixFlags, symptom: Symptom): Promise<void> {
  await present(report, flags);
  const related = causesFor(symptom);
  const missed = report.notJudged.filter(({ rule }) => related.includes(rule));
  if (report.causes.length > 0 || related.length === 0) return;
  const judged = related.filter((id) => !missed.some(({ rule }) => rule === id));
  await print(`For what you see I looked at: ${judged.join(', ')}.\n`);
  for (const { rule, missing } of missed)
    await print(`Could not judge ${rule}: ${printable(missing.join('; '))}\n`);
}

/** The report of one cause alone, with all its evidence. */
async function showEvidence(
  { report }: Diagnosis,
  cause: ReportCause,
  flags: FixFlags,
): Promise<void> {
  const look = lookOf({ color: flags.color, plain: flags.plain === true, verbose: true });
  const alone = { ...report, causes: [cause], benign: [], notes: [] };
  await print(await renderText(alone, look));
}

/** The command line that measures the same. */
function sameCommand({ netns, iface, duration }: FixFlags): string {
  return quoteArgv([
    'whydrop',
    'report',
    ...(netns === undefined ? [] : ['--netns', netns]),
    ...listOf(iface).flatMap((name) => ['--iface', name]),
    '--duration',
    duration,
  ]);
}
