import type { Confirmation } from '../catalogue/locations.ts';
import { etherTypeName } from '../model/ethertypes.ts';
import {
  hasLost,
  isSuspect,
  lossOf,
  type ImportedDrop,
  type ImportFinding,
  type ImportReport,
  type InterfaceCounters,
  type InterfaceHistory,
  type UnresolvedDrop,
} from '../model/import-report.ts';
import { quoteArgv } from '../model/shell-quote.ts';
import { Page, type Content } from './page.ts';
import {
  bullet,
  counted,
  labelOf,
  listed,
  section,
  TEXT_INDENT,
  type TextOptions,
} from './text.ts';
import { writeVerdict } from './verdict-box.ts';
import { verdictWords } from './verdict-text.ts';
import { formatCount, formatCountOf, formatSeconds, formatShare } from './wording.ts';

/** The reading of another tool's output, for a person: verdict first, as in a report. Ends with a newline. */
export async function renderImportText(
  report: ImportReport,
  options: TextOptions,
): Promise<string> {
  const page = new Page(options);
  const verdict = {
    word: verdictWords[report.verdict],
    headline: headline(report),
    details: details(report),
  };
  await writeVerdict(page, verdict, { style: report.verdict, plain: options.plain });
  page.paragraph([{ text: source(report), style: 'source' }], 2);
  for (const [index, finding] of report.findings.entries()) writeFinding(page, finding, index + 1);
  writeHarmless(page, report);
  writeUnexplained(page, report, options.verbose);
  writeUnresolved(page, report, options.verbose);
  writeHistory(page, report, options.verbose);
  writeList(page, 'Notes', report.notes);
  writeList(page, 'What this output cannot tell', report.missing);
  writeNext(page, report.next);
  return page.toString();
}

function headline({ verdict, totals, findings, history }: ImportReport): string {
  const drops = formatCountOf(totals.drops, 'drop');
  if (totals.drops === 0) return historyHeadline(history);
  const suspect = findings.filter(isSuspect).reduce((sum, { packets }) => sum + packets, 0);
  const doubtful = suspect + totals.unexplained;
  if (verdict === 'unknown') {
    return `${formatCount(totals.unresolved)} of ${drops} cannot be placed: their addresses have no names`;
  }
  if (doubtful > 0) {
    const few = verdict === 'ok' ? ', too few to matter' : '';
    return `${formatCount(doubtful)} of ${drops} may be lost traffic${few}`;
  }
  if (verdict === 'warning') return `${drops}, and counters of loss that rise`;
  return totals.harmless === totals.drops
    ? `${drops}, all harmless`
    : `${drops}: nothing points at lost traffic`;
}

function historyHeadline(history: readonly InterfaceHistory[]): string {
  const losing = history.filter(hasLost);
  if (losing.length === 0) return 'These counters show no loss';
  const rising = losing.filter(
    ({ rise }) => rise !== undefined && lossOf(rise.rx) + lossOf(rise.tx) > 0,
  );
  if (rising.length > 0) {
    return `Loss counters rose between two readings, on ${rising.map((entry) => entry.interface).join(', ')}`;
  }
  return 'Only totals since boot: packets were lost at some time, nothing tells when, or whether they still are';
}

function details({ findings, totals, history, verdict }: ImportReport): string[] {
  const [first] = findings;
  if (first !== undefined)
    return [`${formatShare(first.packets / totals.drops)} of them: ${first.title}`];
  if (totals.drops > 0 || verdict === 'ok') return [];
  return history
    .filter(hasLost)
    .slice(0, 3)
    .map((entry) => `${entry.interface}: ${describeLoss(entry).join('; ')}`);
}

/** Where this comes from. */
function source({ input }: ImportReport): string {
  return [
    input.file === '-' ? 'standard input' : input.file,
    input.formats.join(', '),
    `${formatCount(input.understood)} of ${formatCountOf(input.lines, 'line')} understood`,
    ...(input.seconds === null ? [] : [`drops over ${formatSeconds(input.seconds)}`]),
  ].join(' · ');
}

const judgements = {
  harmless: 'harmless',
  'usually-harmless': 'usually harmless',
  depends: 'a fault or not: check',
  loss: 'lost traffic',
} as const;

const judgementStyles = {
  harmless: 'ok',
  'usually-harmless': 'ok',
  depends: 'warning',
  loss: 'warning',
} as const;

function writeFinding(page: Page, finding: ImportFinding, rank: number): void {
  const { title, judgement, packets, share, means, confirm, drops } = finding;
  const labelled = (label: string, content: Content): void =>
    page.paragraph(content, TEXT_INDENT, [labelOf(label)]);
  page.gap();
  page.paragraph(
    [
      { text: title, style: 'title' },
      { text: `[${judgements[judgement]}]`, style: judgementStyles[judgement], tag: true },
      { text: `${formatCountOf(packets, 'packet')} (${formatShare(share)})`, tag: true },
    ],
    3,
    [{ text: `${rank}. `, style: 'title' }],
  );
  labelled('Where', [places(drops)]);
  labelled('Means', [means]);
  if (confirm.length > 0) labelled('Check', ['on that machine:']);
  for (const { command, shows } of confirm) {
    page.command(command, TEXT_INDENT);
    page.paragraph([shows], TEXT_INDENT + 3);
  }
  const [name] = drops.flatMap(explainable);
  if (name !== undefined) {
    labelled('More', [{ text: quoteArgv(['whydrop', 'explain', name]), style: 'command' }]);
  }
}

/** What `whydrop explain` can be asked about. */
function explainable({ reason, location }: ImportedDrop): string[] {
  if (reason !== null && reason !== 'NOT_SPECIFIED') return [reason];
  return location.startsWith('0x') ? [] : [location];
}

/** `NO_SOCKET @ tcp_v6_rcv, IPv6, interface lo`; the rest by number. */
function places(drops: readonly ImportedDrop[]): string {
  const shown = drops.slice(0, 3).map((drop) => {
    const { reason, location, module, protocol, interfaces, packets } = drop;
    const where = [
      (reason === null ? '' : `${reason} @ `) + location,
      ...(module === undefined ? [] : [`module ${module}`]),
      ...(protocol === null ? [] : [etherTypeName(protocol)]),
      ...interfaces.slice(0, 3).map((name) => `interface ${name}`),
    ].join(', ');
    return drops.length === 1 ? where : `${where}: ${formatCount(packets)}`;
  });
  const more = drops.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}

function writeHarmless(page: Page, { harmless }: ImportReport): void {
  if (harmless.length === 0) return;
  section(page, 'Harmless drops');
  for (const { packets, title, means, drops } of harmless) {
    counted(page, packets, [
      `${title}. ${means}`,
      { text: ` (${places(drops)})`, style: 'source' },
    ]);
  }
}

function writeUnexplained(page: Page, { unexplained }: ImportReport, verbose: boolean): void {
  if (unexplained.length === 0) return;
  section(page, 'Unexplained drops: whydrop does not know these functions');
  listed(page, unexplained, verbose, (drop) => counted(page, drop.packets, [places([drop])]));
}

const areas = {
  core: 'in the core kernel; the output does not name the function',
  module: 'in a kernel module or BPF program',
  hidden: 'no address but a hash: the kernel hid it',
  unknown: 'the output does not name the function',
} as const;

function writeUnresolved(page: Page, { unresolved }: ImportReport, verbose: boolean): void {
  if (unresolved.length === 0) return;
  section(page, 'Addresses without a name');
  listed(page, unresolved, verbose, (drop) => counted(page, drop.packets, [unresolvedText(drop)]));
}

function unresolvedText({ address, area, refuted }: UnresolvedDrop): string {
  const wrong =
    refuted === undefined
      ? ''
      : `; ${refuted} is not it, only the nearest symbol before: no function is that long`;
  const where = refuted !== undefined && area === 'unknown' ? 'no symbol covers it' : areas[area];
  return `${address}: ${where}${wrong}`;
}

function writeHistory(page: Page, { history }: ImportReport, verbose: boolean): void {
  if (history.length === 0) return;
  section(page, 'History: totals since boot, no proof of a fault');
  const losing = history.filter(hasLost);
  listed(page, losing, verbose, (entry) => {
    bullet(page, [
      { text: entry.interface, style: 'title' },
      `: ${describeLoss(entry).join('; ')}`,
    ]);
    if (entry.rise !== undefined) bullet(page, [`  ${describeRise(entry.rise)}`]);
  });
  const clean = history.filter((entry) => !hasLost(entry)).map((entry) => entry.interface);
  if (clean.length > 0) bullet(page, [`no loss on ${clean.join(', ')}`]);
}

/** `242 dropped beside 1,235,101 received (<0.1 %)` */
function describeLoss({ rx, tx }: Pick<InterfaceHistory, 'rx' | 'tx'>): string[] {
  const of = (counters: InterfaceCounters, verb: string): string[] => {
    const { packets, errors, dropped, overruns } = counters;
    const parts = [
      dropped > 0 && `${formatCount(dropped)} dropped`,
      errors > 0 && formatCountOf(errors, 'error'),
      overruns !== null && overruns > 0 && formatCountOf(overruns, 'overrun'),
    ].filter((part) => part !== false);
    const share = lossOf(counters) / Math.max(packets + lossOf(counters), 1);
    return parts.length === 0
      ? []
      : [`${parts.join(', ')} beside ${formatCount(packets)} ${verb} (${formatShare(share)})`];
  };
  return [...of(rx, 'received'), ...of(tx, 'sent')];
}

function describeRise(rise: NonNullable<InterfaceHistory['rise']>): string {
  const loss = describeLoss(rise);
  return loss.length === 0
    ? 'between the two readings: no loss'
    : `between the two readings: ${loss.join('; ')}`;
}

function writeList(page: Page, title: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  section(page, title);
  for (const line of lines) bullet(page, [line]);
}

function writeNext(page: Page, next: readonly Confirmation[]): void {
  section(page, 'Next, on that machine');
  for (const { command, shows } of next) {
    page.command(command, 2);
    page.paragraph([shows], 5);
  }
}
