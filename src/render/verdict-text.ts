import type { Report, ReportNamespace, Verdict } from '../model/report.ts';
import type { UnreadStatus } from '../model/reading.ts';
import {
  describeScope,
  formatCount,
  formatCountOf,
  formatRate,
  formatSeconds,
  formatShare,
  lostPackets,
} from './wording.ts';

export interface VerdictText {
  /** `CRITICAL` */
  readonly word: string;
  /** What happened, in one plain sentence without a full stop. */
  readonly headline: string;
  /** What a reader must know before believing it: the main cause, and what limits the claim. */
  readonly details: readonly string[];
}

export const verdictWords: Readonly<Record<Verdict, string>> = {
  ok: 'OK',
  warning: 'WARNING',
  critical: 'CRITICAL',
  unknown: 'UNKNOWN',
};

/** The verdict in words, for every format meant for people. Texts are not yet printable. */
export function verdictText(report: Report): VerdictText {
  return {
    word: verdictWords[report.verdict],
    headline: headline(report),
    details: [
      ...(report.verdict === 'unknown' ? whyUnknown(report) : []),
      ...mainCause(report),
      ...limits(report),
    ],
  };
}

function headline(report: Report): string {
  const { verdict, totals, causes, window, namespaces } = report;
  const lost = lostPackets(totals);
  const places =
    namespaces === undefined ? '' : ` in ${formatCountOf(namespaces.length, 'network namespace')}`;
  const span = `in ${formatSeconds(window.seconds)}${lost === 0 ? places : ''}`;
  if (verdict === 'unknown') return 'Could not tell whether packets are lost';
  if (window.seconds === 0) {
    return causes.length === 0
      ? 'Nothing wrong found in the settings. Loss was not measured (duration 0)'
      : `${formatCountOf(causes.length, 'finding')} in the settings. Loss was not measured (duration 0)`;
  }
  if (lost === 0) {
    const quiet = `No packet loss found ${span}`;
    if (causes.length > 0) return `${quiet}, but ${formatCountOf(causes.length, 'risk')}`;
    if (totals.benign === 0) return quiet;
    return `${quiet}; ${formatCountOf(totals.benign, 'drop')}, ${totals.benign === 1 ? 'harmless' : 'all harmless'}`;
  }
  const loss = `${formatCountOf(lost, 'packet')} lost ${span} (${formatRate(lost / window.seconds)})`;
  if (verdict === 'ok') return `${loss}${places}, too few to matter`;
  const losing = namespaces?.filter((entry) => isLosing(entry)).length;
  if (namespaces === undefined || losing === undefined) return loss;
  return `${losing} of ${formatCountOf(namespaces.length, 'network namespace')} ${losing === 1 ? 'loses' : 'lose'} packets: ${loss}`;
}

/** More than too few to matter. */
function isLosing({ verdict }: ReportNamespace): boolean {
  return verdict === 'warning' || verdict === 'critical';
}

/** What makes the verdict what it is, though something milder may cost more packets. */
function mainCause({ causes, totals, verdict }: Report): string[] {
  const lost = lostPackets(totals);
  const isAlarm = verdict === 'warning' || verdict === 'critical';
  const main = causes.find(({ severity }) => severity === verdict);
  const shown = main ?? (isAlarm ? undefined : causes[0]);
  if (shown === undefined) {
    if (lost === 0) return [];
    if (verdict === 'unknown')
      return [`${formatCountOf(totals.unexplained, 'drop')} seen, but not what would explain them`];
    return [
      totals.unexplained === lost
        ? 'No known cause explains them'
        : `${formatShare(totals.unexplained / lost)} of them: no known cause explains them`,
    ];
  }
  const where = describeScope(shown.scope);
  const cause = where === '' ? shown.title : `${shown.title} (${where})`;
  if (shown.packets === 0 || lost === 0) return [cause];
  const others = causes.length - 1;
  const rest = others === 0 ? '' : `; ${formatCountOf(others, 'more cause')} below`;
  return [`${formatShare(Math.min(shown.packets / lost, 1))} of them: ${cause}${rest}`];
}

/** What makes the numbers less than the whole truth. */
function limits({ capture, window, elsewhere, verdict }: Report): string[] {
  const lines: string[] = [];
  if (capture.backend === 'none' && window.seconds > 0) {
    // What makes a verdict unknown stands above this line.
    const reason = verdict === 'unknown' ? undefined : capture.unavailable.at(-1)?.reason;
    lines.push(
      ['Drops were not watched live, only counters compared', reason]
        .filter((part) => part !== undefined)
        .join(': '),
    );
  }
  if (capture.lost > 0) {
    lines.push(
      `Counts are lower bounds: ${formatCountOf(capture.lost, 'drop event')} came too fast to be read`,
    );
  }
  if (elsewhere.packets > 0) {
    lines.push(
      `${formatCount(elsewhere.packets)} more ${elsewhere.packets === 1 ? 'drop' : 'drops'} on this host cannot be placed here: see Elsewhere`,
    );
  }
  return lines;
}

/** Worst first. What is not applicable explains nothing: such a source is not missed. */
const unreadOrder: readonly UnreadStatus[] = [
  'crashed',
  'denied',
  'timeout',
  'malformed',
  'absent',
];

function whyUnknown({ checks, namespaces = [] }: Report): string[] {
  const closed = namespaces.filter(
    ({ verdict, unread }) => verdict === 'unknown' && unread !== undefined,
  );
  const reasons = unreadOrder.flatMap((status) =>
    checks
      .filter((check) => check.core === true && check.status === status)
      .map(({ id, reason = id }) => (status === 'crashed' ? `${id} failed: ${reason}` : reason)),
  );
  const all = [...new Set([...reasons, ...closed.map(({ unread = '' }) => unread)])];
  return all.length > 3 ? [...all.slice(0, 3), `… and ${all.length - 3} more, see below`] : all;
}
